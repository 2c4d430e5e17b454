import com.anthropic.client.AnthropicClient;
import com.anthropic.client.okhttp.AnthropicOkHttpClient;
import com.anthropic.core.http.StreamResponse;
import com.anthropic.models.messages.MessageCountTokensParams;
import com.anthropic.models.messages.MessageCreateParams;
import com.anthropic.models.messages.RawMessageStreamEvent;
import java.time.Duration;
import java.util.Map;

/** The Anthropic client for Java, which traces itself. */
final class AnthropicJava {
    static AnthropicClient client(Duration timeout) {
        return AnthropicOkHttpClient.builder().apiKey("sk-mock").baseUrl(Common.MOCK + "/anthropic").maxRetries(0).timeout(timeout).build();
    }

    public static void main(String[] names) throws Exception {
        Common.tracing();
        AnthropicClient client = client(Duration.ofSeconds(20));
        MessageCreateParams ask = MessageCreateParams.builder().model("claude-sonnet-4-5").maxTokens(50).addUserMessage(Common.QUESTION).build();
        Common.run(names, Map.of(
            "chat", () -> client.messages().create(ask),
            "chat_counted", () -> {
                client.messages().countTokens(MessageCountTokensParams.builder().model("claude-sonnet-4-5").addUserMessage(Common.QUESTION).build());
                client.messages().create(ask);
            },
            "stream", () -> {
                try (StreamResponse<RawMessageStreamEvent> stream = client.messages().createStreaming(ask)) {
                    stream.stream().forEach(event -> { });
                }
            },
            "http429", () -> client.messages().create(ask),
            "timeout", () -> client(Duration.ofSeconds(1)).messages().create(ask)));
    }
}
