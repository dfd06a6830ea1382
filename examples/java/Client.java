// A search client of Hexbid in Java. With Maven or Gradle, generate from
// proto/hexbid/v1/search.proto (protoc and protoc-gen-grpc-java) and depend on
// grpc-netty, grpc-protobuf and grpc-stub.
//
//   java Client.java [host:port]
import com.hexbid.v1.Datum;
import com.hexbid.v1.Gender;
import com.hexbid.v1.Host;
import com.hexbid.v1.Location;
import com.hexbid.v1.OperatingSystem;
import com.hexbid.v1.Scene;
import com.hexbid.v1.SearchNearbyRequest;
import com.hexbid.v1.SearchServiceGrpc;
import com.hexbid.v1.Viewer;
import io.grpc.ManagedChannelBuilder;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

public class Client {
  /** One quick retry of what another replica may answer. */
  static final Map<String, ?> RETRIES = Map.of("methodConfig", List.of(Map.of(
      "name", List.of(Map.of("service", "hexbid.v1.SearchService")),
      "retryPolicy", Map.of("maxAttempts", 2.0, "initialBackoff", "0.002s", "maxBackoff", "0.01s",
          "backoffMultiplier", 2.0, "retryableStatusCodes", List.of("UNAVAILABLE", "RESOURCE_EXHAUSTED")))));

  public static void main(String[] args) throws InterruptedException {
    var address = args.length > 0 ? args[0] : "127.0.0.1:7600";
    var channel = ManagedChannelBuilder.forTarget(address).usePlaintext()
        .defaultServiceConfig(RETRIES).enableRetry().keepAliveTime(30, TimeUnit.SECONDS).build();
    try {
      // The first call connects; then 20 ms will do.
      var answer = SearchServiceGrpc.newBlockingStub(channel).withDeadlineAfter(2, TimeUnit.SECONDS)
          .searchNearby(SearchNearbyRequest.newBuilder()
              .setLocation(Location.newBuilder().setLatitude(30.2553).setLongitude(120.1640).setDatum(Datum.DATUM_WGS84))
              .setViewer(Viewer.newBuilder().setAge(24).setGender(Gender.GENDER_FEMALE)
                  .setOperatingSystem(OperatingSystem.OPERATING_SYSTEM_IOS))
              .setHost(Host.HOST_WECHAT).setScene(Scene.SCENE_NEARBY_LIST).setNearbyLimit(5).build());
      for (var ad : answer.getSponsoredList()) {
        System.out.printf("ad %d: %s (%s)%n", ad.getSlot(), ad.getProgram().getDisplayName(), ad.getCreative().getPromotion());
      }
      for (var near : answer.getNearbyList()) {
        System.out.printf("%.0f m: %s%n", near.getDistanceM(), near.getProgram().getDisplayName());
      }
    } finally {
      channel.shutdownNow().awaitTermination(1, TimeUnit.SECONDS);
    }
  }
}
