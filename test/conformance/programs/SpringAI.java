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
import org.springframework.ai.chat.client.advisor.ToolCallAdvisor;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.document.MetadataMode;
import org.springframework.ai.model.tool.ToolCallingManager;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.openai.OpenAiEmbeddingModel;
import org.springframework.ai.openai.OpenAiEmbeddingOptions;
import org.springframework.ai.openai.api.OpenAiApi;
import org.springframework.ai.support.ToolCallbacks;
import org.springframework.ai.tool.annotation.Tool;
import org.springframework.http.client.SimpleClientHttpRequestFactory;
import org.springframework.retry.support.RetryTemplate;
import org.springframework.web.client.RestClient;

/** Spring AI, whose observations Micrometer's bridge makes spans of. */
final class SpringAI {
    static final ObservationRegistry registry = ObservationRegistry.create();

    static final class Weather {
        @Tool(name = "get_weather", description = "Tells the weather in a city.")
        public String weather(String city) {
            return "sunny, 21 degrees";
        }
    }

    static OpenAiApi api(Duration timeout) {
        SimpleClientHttpRequestFactory factory = new SimpleClientHttpRequestFactory();
        factory.setReadTimeout(timeout);
        return OpenAiApi.builder().apiKey("sk-mock").baseUrl(Common.MOCK + "/openai").restClientBuilder(RestClient.builder().requestFactory(factory)).build();
    }

    static OpenAiChatModel model(Duration timeout, int attempts) {
        return OpenAiChatModel.builder().openAiApi(api(timeout)).observationRegistry(registry)
            .defaultOptions(OpenAiChatOptions.builder().model("gpt-4o").streamUsage(true).build())
            .toolCallingManager(tools())
            .retryTemplate(RetryTemplate.builder().maxAttempts(attempts).fixedBackoff(50).build()).build();
    }

    static ToolCallingManager tools() {
        return ToolCallingManager.builder().observationRegistry(registry).build();
    }

    static Prompt withTools(boolean internally) {
        return new Prompt(Common.QUESTION, OpenAiChatOptions.builder().model("gpt-4o").toolCallbacks(ToolCallbacks.from(new Weather())).internalToolExecutionEnabled(internally).build());
    }

    /** The application calls the model again itself: its calls count each what they used. */
    static ChatResponse ownLoop(OpenAiChatModel model) {
        Prompt prompt = withTools(false);
        ChatResponse response = model.call(prompt);
        while (response.hasToolCalls()) {
            prompt = new Prompt(tools().executeToolCalls(prompt, response).conversationHistory(), prompt.getOptions());
            response = model.call(prompt);
        }
        return response;
    }

    static Map.Entry<String, Common.Scenario> on(String name, Common.Scenario scenario) {
        return Map.entry(name, scenario);
    }

    /** Has an application's span around calls. */
    static <T> T within(java.util.function.Supplier<T> work) {
        return Observation.createNotStarted("app", registry).observe(work);
    }

    static ChatClient client() {
        return ChatClient.builder(model(Duration.ofSeconds(20), 1), registry, null, null).build();
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
        OpenAiChatModel model = model(Duration.ofSeconds(20), 1);
        Common.run(names, Map.ofEntries(
            on("chat", () -> model.call(ask)),
            on("stream", () -> settled(model.stream(ask).blockLast())),
            on("client", () -> client().prompt(Common.QUESTION).call().content()),
            on("tool_loop", () -> client().prompt(Common.QUESTION).tools(new Weather()).call().content()),
            on("tool_loop_stream", () -> settled(client().prompt(Common.QUESTION).tools(new Weather()).stream().content().blockLast())),
            on("tool_loop_direct", () -> within(() -> model.call(withTools(true)))),
            on("tool_loop_own", () -> within(() -> ownLoop(model))),
            on("tool_loop_advisor", () -> ChatClient.builder(model, registry, null, null).defaultAdvisors(ToolCallAdvisor.builder().toolCallingManager(tools()).build()).build()
                .prompt(Common.QUESTION).tools(new Weather()).call().content()),
            on("calls", () -> within(() -> List.of(model.call(ask), model.call(withTools(true))))),
            on("embeddings", () -> new OpenAiEmbeddingModel(api(Duration.ofSeconds(20)), MetadataMode.EMBED, OpenAiEmbeddingOptions.builder().model("text-embedding-3-small").build(), RetryTemplate.defaultInstance(), registry).embed("Paris")),
            on("retry_429", () -> model(Duration.ofSeconds(20), 3).call(ask)),
            on("http429", () -> model.call(ask)),
            on("timeout", () -> model(Duration.ofSeconds(1), 1).call(ask))));
    }
}
