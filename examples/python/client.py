"""A search client of Hexbid in Python.

    protoc -Iproto --python_out=examples/python --grpc_python_out=examples/python \
        --plugin=protoc-gen-grpc_python="$(command -v grpc_python_plugin)" hexbid/v1/search.proto
    python3 examples/python/client.py [address]
"""
import json
import sys

import grpc
from hexbid.v1 import search_pb2 as pb
from hexbid.v1 import search_pb2_grpc

# One quick retry of what another replica may answer.
RETRIES = json.dumps({"methodConfig": [{
    "name": [{"service": "hexbid.v1.SearchService"}],
    "retryPolicy": {
        "maxAttempts": 2, "initialBackoff": "0.002s", "maxBackoff": "0.01s", "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
    },
}]})


def main():
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:7600"
    options = [("grpc.service_config", RETRIES), ("grpc.keepalive_time_ms", 30000)]
    with grpc.insecure_channel(address, options=options) as channel:
        service = search_pb2_grpc.SearchServiceStub(channel)
        # The first call connects; then 20 ms will do.
        answer = service.SearchNearby(pb.SearchNearbyRequest(
            location=pb.Location(latitude=30.2553, longitude=120.1640, datum=pb.DATUM_WGS84),
            viewer=pb.Viewer(age=24, gender=pb.GENDER_FEMALE, operating_system=pb.OPERATING_SYSTEM_IOS),
            host=pb.HOST_WECHAT, scene=pb.SCENE_NEARBY_LIST, nearby_limit=5,
        ), timeout=1)
    for ad in answer.sponsored:
        print(f"ad {ad.slot}: {ad.program.display_name} ({ad.creative.promotion})")
    for near in answer.nearby:
        print(f"{near.distance_m:.0f} m: {near.program.display_name}")


if __name__ == "__main__":
    main()
