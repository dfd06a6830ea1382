"""A search client of Hexbid in Python: it asks, shows, and reports what was seen and clicked.

    protoc -Iproto --python_out=examples/python --grpc_python_out=examples/python \
        --plugin=protoc-gen-grpc_python="$(command -v grpc_python_plugin)" \
        hexbid/v1/search.proto hexbid/v1/event_service.proto
    python3 examples/python/client.py [address]
"""
import json
import sys
import uuid

import grpc
from hexbid.v1 import event_service_pb2 as ev
from hexbid.v1 import event_service_pb2_grpc
from hexbid.v1 import search_pb2 as pb
from hexbid.v1 import search_pb2_grpc


def retry(service, attempts, first, longest):
    return {"name": [{"service": service}], "retryPolicy": {
        "maxAttempts": attempts, "initialBackoff": first, "maxBackoff": longest, "backoffMultiplier": 3,
        "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
    }}


# A search: one quick retry of what another replica may answer. Events: more patience; a retry has the same event ids.
RETRIES = json.dumps({"methodConfig": [retry("hexbid.v1.SearchService", 2, "0.002s", "0.01s"),
                                       retry("hexbid.v1.EventService", 5, "0.1s", "2s")]})
CLIENT = [("x-hexbid-client", "example")]  # the same in searches and events: tokens are for one client


def event(kind, token):
    return ev.Event(kind=kind, token=token, event_id=str(uuid.uuid4()))


def report(channel, events):
    """Reports events. Had it failed, it could send the same events again: each is recorded once."""
    answer = event_service_pb2_grpc.EventServiceStub(channel).RecordEvents(
        ev.RecordEventsRequest(events=events), timeout=10, metadata=CLIENT)
    for e, result in zip(events, answer.results):
        print(f"{ev.EventKind.Name(e.kind)[len('EVENT_KIND_'):]}: "
              f"{ev.EventOutcome.Name(result.outcome)[len('EVENT_OUTCOME_'):]}")


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
        ), timeout=1, metadata=CLIENT)
        for ad in answer.sponsored:
            print(f"ad {ad.slot}: {ad.program.display_name} ({ad.creative.promotion})")
        for near in answer.nearby:
            print(f"{near.distance_m:.0f} m: {near.program.display_name}")
        if answer.sponsored:  # the viewer sees all ads and opens the first
            report(channel, [event(ev.EVENT_KIND_IMPRESSION, ad.token) for ad in answer.sponsored] +
                   [event(ev.EVENT_KIND_CLICK, answer.sponsored[0].token)])


if __name__ == "__main__":
    main()
