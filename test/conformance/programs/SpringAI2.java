import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationRegistry;
import io.micrometer.tracing.handler.DefaultTracingObservationHandler;
import io.micrometer.tracing.otel.bridge.OtelBaggageManager;
import io.micrometer.tracing.otel.bridge.OtelCurrentTraceContext;
import io.micrometer.tracing.otel.bridge.OtelTracer;
import io.opentelemetry.api.OpenTelemetry;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.model.tool.ToolCallingManager;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.support.ToolCallbacks;
import org.springframework.ai.tool.annotation.Tool;

/** Spring AI 2, whose clients call models again themselves where a tool is to be used. */
final class SpringAI2 {
    static final ObservationRegistry registry = ObservationRegistry.create();

    static final class Weather {
        @Tool(name = "get_weather", description = "Tells the weather in a city.")
        public String weather(String city) {
            return "sunny, 21 degrees";
        }
    }

    static OpenAiChatModel model(Duration timeout) {
        return OpenAiChatModel.builder().observationRegistry(registry).toolCallingManager(tools())
            .options((OpenAiChatOptions) OpenAiChatOptions.builder().apiKey("sk-mock").baseUrl(Common.MOCK + "/openai/v1").timeout(timeout).maxRetries(0)
                .model("gpt-4o").streamUsage(true).build()).build();
    }

    static ToolCallingManager tools() {
        return ToolCallingManager.builder().observationRegistry(registry).build();
    }

    /** The application calls the model again itself. */
    static ChatResponse ownLoop(OpenAiChatModel model) {
        Prompt prompt = new Prompt(Common.QUESTION, OpenAiChatOptions.builder().model("gpt-4o").toolCallbacks(ToolCallbacks.from(new Weather())).build());
        ChatResponse response = model.call(prompt);
        while (response.hasToolCalls()) {
            prompt = new Prompt(tools().executeToolCalls(prompt, response).conversationHistory(), prompt.getOptions());
            response = model.call(prompt);
        }
        return response;
    }

    static ChatClient client() {
        return ChatClient.builder(model(Duration.ofSeconds(20)), registry, null, null).build();
    }

    /** Lets the spans of a stream end, which they do after its last part. */
    static void settled(Object last) throws InterruptedException {
        Thread.sleep(300);
    }

    public static void main(String[] names) throws Exception {
        OpenTelemetry telemetry = Common.tracing();
        OtelCurrentTraceContext context = new OtelCurrentTraceContext();
        OtelTracer tracer = new OtelTracer(telemetry.getTracer("org.springframework.boot"), context, event -> { }, new OtelBaggageManager(context, List.of(), List.of()));
        registry.observationConfig().observationHandler(new DefaultTracingObservationHandler(tracer));
        Prompt ask = new Prompt(Common.QUESTION);
        OpenAiChatModel model = model(Duration.ofSeconds(20));
        Common.run(names, Map.of(
            "chat", () -> model.call(ask),
            "stream", () -> settled(model.stream(ask).blockLast()),
            "client", () -> client().prompt(Common.QUESTION).call().content(),
            "tool_loop", () -> client().prompt(Common.QUESTION).tools(new Weather()).call().content(),
            "tool_loop_stream", () -> settled(client().prompt(Common.QUESTION).tools(new Weather()).stream().content().blockLast()),
            "tool_loop_own", () -> Observation.createNotStarted("app", registry).observe(() -> ownLoop(model)),
            "http429", () -> model.call(ask),
            "timeout", () -> model(Duration.ofSeconds(1)).call(ask)));
    }
}
