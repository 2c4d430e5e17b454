import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.http.StreamResponse;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.embeddings.EmbeddingCreateParams;
import com.openai.models.responses.ResponseCreateParams;
import io.opentelemetry.api.OpenTelemetry;
import io.opentelemetry.instrumentation.openai.v1_1.OpenAITelemetry;
import java.time.Duration;
import java.util.Map;

/** The OpenAI client for Java, instrumented by OpenTelemetry's library. */
final class OpenAIJava {
    static OpenTelemetry telemetry;

    static OpenAIClient client(Duration timeout) {
        OpenAIClient client = OpenAIOkHttpClient.builder().apiKey("sk-mock").baseUrl(Common.MOCK + "/openai/v1").maxRetries(0).timeout(timeout).build();
        return OpenAITelemetry.builder(telemetry).setCaptureMessageContent(true).build().wrap(client);
    }

    public static void main(String[] names) throws Exception {
        telemetry = Common.tracing();
        OpenAIClient client = client(Duration.ofSeconds(20));
        ChatCompletionCreateParams ask = ChatCompletionCreateParams.builder().model("gpt-4o").addUserMessage(Common.QUESTION).build();
        ChatCompletionCreateParams counted = ask.toBuilder().streamOptions(ChatCompletionStreamOptions.builder().includeUsage(true).build()).build();
        Common.run(names, Map.of(
            "chat", () -> client.chat().completions().create(ask),
            "stream", () -> {
                try (StreamResponse<ChatCompletionChunk> stream = client.chat().completions().createStreaming(counted)) {
                    stream.stream().forEach(chunk -> { });
                }
            },
            "responses", () -> client.responses().create(ResponseCreateParams.builder().model("gpt-4o").input(Common.QUESTION).build()),
            "embeddings", () -> client.embeddings().create(EmbeddingCreateParams.builder().model("text-embedding-3-small").input("Paris").build()),
            "http429", () -> client.chat().completions().create(ask),
            "timeout", () -> client(Duration.ofSeconds(1)).chat().completions().create(ask)));
    }
}
