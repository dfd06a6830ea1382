// A search client of Hexbid in Java: it asks, shows, and reports what was seen
// and clicked. With Maven or Gradle, generate from
// proto/hexbid/v1/search.proto and proto/hexbid/v1/event_service.proto (protoc
// and protoc-gen-grpc-java) and depend on grpc-netty, grpc-protobuf and
// grpc-stub.
//
//   java Client.java [host:port]
import com.hexbid.v1.Datum;
import com.hexbid.v1.Event;
import com.hexbid.v1.EventKind;
import com.hexbid.v1.EventServiceGrpc;
import com.hexbid.v1.Gender;
import com.hexbid.v1.Host;
import com.hexbid.v1.Location;
import com.hexbid.v1.OperatingSystem;
import com.hexbid.v1.RecordEventsRequest;
import com.hexbid.v1.Scene;
import com.hexbid.v1.SearchNearbyRequest;
import com.hexbid.v1.SearchServiceGrpc;
import com.hexbid.v1.Viewer;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.stub.MetadataUtils;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;

public class Client {
  static Map<String, ?> retry(String service, double attempts, String first, String longest) {
    return Map.of("name", List.of(Map.of("service", service)),
        "retryPolicy", Map.of("maxAttempts", attempts, "initialBackoff", first, "maxBackoff", longest,
            "backoffMultiplier", 3.0, "retryableStatusCodes", List.of("UNAVAILABLE", "RESOURCE_EXHAUSTED")));
  }

  /** A search: one quick retry of what another replica may answer. Events: more patience, and the same event ids. */
  static final Map<String, ?> RETRIES = Map.of("methodConfig", List.of(
      retry("hexbid.v1.SearchService", 2, "0.002s", "0.01s"), retry("hexbid.v1.EventService", 5, "0.1s", "2s")));

  public static void main(String[] args) throws InterruptedException {
    var address = args.length > 0 ? args[0] : "127.0.0.1:7600";
    var channel = ManagedChannelBuilder.forTarget(address).usePlaintext()
        .defaultServiceConfig(RETRIES).enableRetry().keepAliveTime(30, TimeUnit.SECONDS).build();
    var client = new Metadata(); // the same in searches and events: tokens are for one client
    client.put(Metadata.Key.of("x-hexbid-client", Metadata.ASCII_STRING_MARSHALLER), "example");
    try {
      show(ClientInterceptors.intercept(channel, MetadataUtils.newAttachHeadersInterceptor(client)));
    } finally {
      channel.shutdownNow().awaitTermination(1, TimeUnit.SECONDS);
    }
  }

  static void show(Channel channel) {
    // The first call connects; then 20 ms will do.
    var answer = SearchServiceGrpc.newBlockingStub(channel).withDeadlineAfter(2, TimeUnit.SECONDS)
        .searchNearby(SearchNearbyRequest.newBuilder()
            .setLocation(Location.newBuilder().setLatitude(30.2553).setLongitude(120.1640).setDatum(Datum.DATUM_WGS84))
            .setViewer(Viewer.newBuilder().setAge(24).setGender(Gender.GENDER_FEMALE)
                .setOperatingSystem(OperatingSystem.OPERATING_SYSTEM_IOS))
            .setHost(Host.HOST_WECHAT).setScene(Scene.SCENE_NEARBY_LIST).setNearbyLimit(5).build());
    var events = RecordEventsRequest.newBuilder(); // of what the viewer sees: all ads, of which the first is opened
    for (var ad : answer.getSponsoredList()) {
      System.out.printf("ad %d: %s (%s)%n", ad.getSlot(), ad.getProgram().getDisplayName(),
          ad.getCreative().getPromotion());
      events.addEvents(event(EventKind.EVENT_KIND_IMPRESSION, ad.getToken()));
    }
    for (var near : answer.getNearbyList()) {
      System.out.printf("%.0f m: %s%n", near.getDistanceM(), near.getProgram().getDisplayName());
    }
    if (events.getEventsCount() > 0) {
      events.addEvents(event(EventKind.EVENT_KIND_CLICK, answer.getSponsored(0).getToken()));
      report(channel, events.build());
    }
  }

  static Event event(EventKind kind, String token) {
    return Event.newBuilder().setKind(kind).setToken(token).setEventId(UUID.randomUUID().toString()).build();
  }

  /** Reports events. Had it failed, it could send the same events again: each is recorded once. */
  static void report(Channel channel, RecordEventsRequest events) {
    var answer = EventServiceGrpc.newBlockingStub(channel).withDeadlineAfter(10, TimeUnit.SECONDS).recordEvents(events);
    for (int i = 0; i < answer.getResultsCount(); i++) {
      System.out.printf("%s: %s%n", events.getEvents(i).getKind().name().substring("EVENT_KIND_".length()),
          answer.getResults(i).getOutcome().name().substring("EVENT_OUTCOME_".length()));
    }
  }
}
