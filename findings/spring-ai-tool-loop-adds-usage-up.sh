#!/usr/bin/env bash
# When a model of Spring AI calls tools, the span of each further call has the usage of all calls before it added. So the
# spans of one loop count 1 + 2 + … + n times what a call used: of ten steps, five and a half times what is paid.
#
# Seen with spring-ai-openai 1.1.2, micrometer-tracing-bridge-otel 1.5.7, opentelemetry-sdk 1.68.0, Java 17, Maven 3.8.
#
# Each of the three responses here says prompt_tokens 10 and completion_tokens 2; the first two call a tool.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
dependency() { echo "<dependency><groupId>$1</groupId><artifactId>$2</artifactId><version>$3</version></dependency>"; }
cat >pom.xml <<XML
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
$(dependency org.springframework.ai spring-ai-openai 1.1.2)
$(dependency org.springframework.ai spring-ai-client-chat 1.1.2)
$(dependency io.micrometer micrometer-tracing-bridge-otel 1.5.7)
$(dependency io.opentelemetry opentelemetry-sdk 1.68.0)
$(dependency io.opentelemetry opentelemetry-sdk-testing 1.68.0)
</dependencies></project>
XML
mvn --batch-mode --quiet dependency:build-classpath -Dmdep.outputFile=classpath >/dev/null 2>&1
cat >Main.java <<'JAVA'
import com.sun.net.httpserver.HttpServer;
import io.micrometer.observation.ObservationRegistry;
import io.micrometer.tracing.handler.DefaultTracingObservationHandler;
import io.micrometer.tracing.otel.bridge.*;
import io.opentelemetry.sdk.testing.exporter.InMemorySpanExporter;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.export.SimpleSpanProcessor;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicInteger;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.model.tool.ToolCallingManager;
import org.springframework.ai.openai.*;
import org.springframework.ai.openai.api.OpenAiApi;
import org.springframework.ai.tool.annotation.Tool;

final class Main {
    public static final class Weather {
        @Tool(name = "weather", description = "Tells the weather.")
        public String weather(String city) {
            return "sunny";
        }
    }

    public static void main(String[] none) throws Exception {
        AtomicInteger calls = new AtomicInteger();
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.createContext("/", exchange -> {
            exchange.getRequestBody().readAllBytes();
            int call = calls.incrementAndGet();
            String message = call > 2 ? "\"content\":\"sunny\"" : "\"content\":null,\"tool_calls\":[{\"id\":\"c" + call + "\",\"type\":\"function\",\"function\":{\"name\":\"weather\",\"arguments\":\"{\\\"city\\\":\\\"Paris\\\"}\"}}]";
            byte[] body = ("{\"id\":\"r" + call + "\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"gpt-4o\",\"choices\":[{\"index\":0,\"finish_reason\":\"" + (call > 2 ? "stop" : "tool_calls")
                + "\",\"message\":{\"role\":\"assistant\"," + message + "}}],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":2,\"total_tokens\":12}}").getBytes(StandardCharsets.UTF_8);
            exchange.getResponseHeaders().set("content-type", "application/json");
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
        InMemorySpanExporter spans = InMemorySpanExporter.create();
        OtelCurrentTraceContext context = new OtelCurrentTraceContext();
        ObservationRegistry registry = ObservationRegistry.create();
        registry.observationConfig().observationHandler(new DefaultTracingObservationHandler(new OtelTracer(
            SdkTracerProvider.builder().addSpanProcessor(SimpleSpanProcessor.create(spans)).build().get("finding"), context, event -> { })));
        OpenAiChatModel model = OpenAiChatModel.builder()
            .openAiApi(OpenAiApi.builder().apiKey("k").baseUrl("http://127.0.0.1:" + server.getAddress().getPort()).build())
            .defaultOptions(OpenAiChatOptions.builder().model("gpt-4o").build()).observationRegistry(registry)
            .toolCallingManager(ToolCallingManager.builder().observationRegistry(registry).build()).build();
        ChatClient.builder(model, registry, null, null).build().prompt("Weather?").tools(new Weather()).call().content();
        spans.getFinishedSpanItems().stream().filter(span -> span.getName().startsWith("chat ")).forEach(span -> {
            StringBuilder line = new StringBuilder(span.getName());
            span.getAttributes().forEach((key, value) -> {
                if (key.getKey().matches("gen_ai.response.id|gen_ai.usage.(input|output)_tokens")) {
                    line.append(' ').append(key.getKey().replaceAll(".*\\.", "")).append('=').append(value);
                }
            });
            System.out.println(line);
        });
        System.exit(0);
    }
}
JAVA
javac -parameters -nowarn -cp ".:$(cat classpath)" Main.java
got=$(java -cp ".:$(cat classpath)" Main 2>/dev/null)
want='chat gpt-4o input_tokens=10 output_tokens=2 id=r1
chat gpt-4o input_tokens=20 output_tokens=4 id=r2
chat gpt-4o input_tokens=30 output_tokens=6 id=r3'
echo "$got"
[[ $got == "$want" ]] || { echo "this has changed; it was:"; echo "$want"; exit 1; }
