import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import io.opentelemetry.api.OpenTelemetry;
import io.quarkiverse.langchain4j.cost.CostEstimatorService;
import io.quarkiverse.langchain4j.runtime.listeners.CompletionTextSpanContributor;
import io.quarkiverse.langchain4j.runtime.listeners.PromptTextSpanContributor;
import io.quarkiverse.langchain4j.runtime.listeners.SpanChatModelListener;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** LangChain4j, traced by the listener that its extension for Quarkus adds to each model. */
final class QuarkusLangChain4j {
    static SpanChatModelListener listener;

    static ChatModel model(Duration timeout, int retries) {
        return OpenAiChatModel.builder().apiKey("sk-mock").baseUrl(Common.MOCK + "/openai/v1").modelName("gpt-4o").timeout(timeout).maxRetries(retries)
            .listeners(List.of(listener)).build();
    }

    static ChatModel model() {
        return model(Duration.ofSeconds(20), 0);
    }

    static void stream() throws Exception {
        CompletableFuture<ChatResponse> whole = new CompletableFuture<>();
        OpenAiStreamingChatModel.builder().apiKey("sk-mock").baseUrl(Common.MOCK + "/openai/v1").modelName("gpt-4o").listeners(List.of(listener)).build()
            .chat(Common.QUESTION, new StreamingChatResponseHandler() {
                @Override
                public void onPartialResponse(String part) { }

                @Override
                public void onCompleteResponse(ChatResponse response) {
                    whole.complete(response);
                }

                @Override
                public void onError(Throwable error) {
                    whole.completeExceptionally(error);
                }
            });
        whole.get(20, TimeUnit.SECONDS);
    }

    public static void main(String[] names) throws Exception {
        OpenTelemetry telemetry = Common.tracing();
        listener = new SpanChatModelListener(telemetry.getTracer("quarkus-langchain4j"), new CostEstimatorService(List.of()), List.of(new PromptTextSpanContributor(true), new CompletionTextSpanContributor(true)));
        Common.run(names, Map.of(
            "chat", () -> model().chat(UserMessage.from(Common.QUESTION)),
            "stream", () -> stream(),
            "retry_429", () -> model(Duration.ofSeconds(20), 2).chat(Common.QUESTION),
            "http429", () -> model().chat(Common.QUESTION),
            "timeout", () -> model(Duration.ofSeconds(1), 0).chat(Common.QUESTION)));
    }
}
