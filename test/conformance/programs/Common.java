import io.opentelemetry.api.OpenTelemetry;
import io.opentelemetry.exporter.otlp.http.trace.OtlpHttpSpanExporter;
import io.opentelemetry.exporter.otlp.http.logs.OtlpHttpLogRecordExporter;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.OpenTelemetrySdkBuilder;
import io.opentelemetry.sdk.logs.SdkLoggerProvider;
import io.opentelemetry.sdk.logs.export.BatchLogRecordProcessor;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.export.BatchSpanProcessor;
import java.net.URI;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** What the programs share: an SDK that exports to the server, and running scenarios one after the other. */
final class Common {
    static final String MOCK = System.getenv("MOCK_URL");
    static final String USER = System.getenv("USER_ID");
    static final String SESSION = System.getenv("SESSION_ID");
    static final String QUESTION = "What is the weather in Paris?";
    private static SdkTracerProvider provider;
    private static SdkLoggerProvider loggers;

    interface Scenario {
        void run() throws Exception;
    }

    /** Registers the global SDK. */
    static OpenTelemetry tracing() {
        String header = URLDecoder.decode(System.getenv("OTEL_EXPORTER_OTLP_HEADERS").replace("Authorization=", ""), StandardCharsets.UTF_8);
        OtlpHttpSpanExporter exporter = OtlpHttpSpanExporter.builder().setEndpoint(MOCK + "/otlp/v1/traces").addHeader("Authorization", header).build();
        provider = SdkTracerProvider.builder().addSpanProcessor(BatchSpanProcessor.builder(exporter).build()).build();
        OpenTelemetrySdkBuilder sdk = OpenTelemetrySdk.builder().setTracerProvider(provider);
        if (System.getenv("EXPORT_LOGS") != null) {
            OtlpHttpLogRecordExporter logs = OtlpHttpLogRecordExporter.builder().setEndpoint(MOCK + "/otlp/v1/logs").addHeader("Authorization", header).build();
            loggers = SdkLoggerProvider.builder().addLogRecordProcessor(BatchLogRecordProcessor.builder(logs).build()).build();
            sdk.setLoggerProvider(loggers);
        }
        return sdk.buildAndRegisterGlobal();
    }

    /** Runs the scenarios that the command line names. If one throws, the error is printed and the next runs. */
    static void run(String[] names, Map<String, Scenario> scenarios) throws Exception {
        for (String name : names) {
            post("/scenario/" + name);
            String outcome = "ok";
            try {
                scenarios.get(name).run();
            } catch (Throwable error) {
                outcome = error.toString();
            }
            System.out.println(name + " " + outcome);
            provider.forceFlush().join(30, TimeUnit.SECONDS);
            if (loggers != null) {
                loggers.forceFlush().join(30, TimeUnit.SECONDS);
            }
            post("/outcome/" + name + "?outcome=" + URLEncoder.encode(outcome.substring(0, Math.min(300, outcome.length())), StandardCharsets.UTF_8));
        }
        System.exit(0);
    }

    private static void post(String path) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(MOCK + path)).POST(HttpRequest.BodyPublishers.noBody()).build();
        HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.discarding());
    }
}
