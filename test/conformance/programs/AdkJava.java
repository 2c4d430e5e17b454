import com.google.adk.agents.LlmAgent;
import com.google.adk.models.Gemini;
import com.google.adk.runner.InMemoryRunner;
import com.google.adk.sessions.Session;
import com.google.adk.tools.FunctionTool;
import com.google.adk.tools.Annotations.Schema;
import com.google.genai.Client;
import com.google.genai.types.Content;
import com.google.genai.types.HttpOptions;
import com.google.genai.types.Part;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Google's Agent Development Kit for Java, which traces itself. */
public final class AdkJava {
    public static Map<String, Object> get_weather(@Schema(name = "city", description = "the city") String city) {
        return Map.of("weather", "sunny, 21 degrees");
    }

    static void ask() throws Exception {
        Client client = Client.builder().apiKey("mock").httpOptions(HttpOptions.builder().baseUrl(Common.MOCK + "/gemini").build()).build();
        LlmAgent agent = LlmAgent.builder().name("weather_agent").model(new Gemini("gemini-2.5-flash", client)).instruction("Be brief.")
            .tools(FunctionTool.create(AdkJava.class, "get_weather")).build();
        InMemoryRunner runner = new InMemoryRunner(agent, "weather");
        Session session = runner.sessionService().createSession("weather", Common.USER, new ConcurrentHashMap<>(), Common.SESSION).blockingGet();
        runner.runAsync(session.userId(), session.id(), Content.fromParts(Part.fromText(Common.QUESTION))).blockingForEach(event -> { });
    }

    public static void main(String[] names) throws Exception {
        Common.tracing();
        Common.run(names, Map.of("agent_usersession", AdkJava::ask, "http429_agent", AdkJava::ask));
    }
}
