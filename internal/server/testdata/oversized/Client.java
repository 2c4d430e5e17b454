import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.concurrent.Callable;

/** Sends a body of some MiB in the ways of Java's clients, and prints a line each: the way and the status. */
public class Client {
    static String url, token;
    static byte[] body;

    public static void main(String[] args) {
        url = args[0];
        token = args[1];
        body = new byte[Integer.parseInt(args[2]) << 20];
        java.util.Arrays.fill(body, (byte) ' ');
        HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        // HttpClient with expectContinue is left out: Java 17's waits for 100 without end, whatever final answer comes.
        report("HttpClient", () -> send(client, HttpRequest.BodyPublishers.ofByteArray(body)));
        report("HttpClient-chunked", () -> send(client,
            HttpRequest.BodyPublishers.ofInputStream(() -> new java.io.ByteArrayInputStream(body))));
        report("HttpURLConnection", () -> connect(false, false));
        report("HttpURLConnection-chunked", () -> connect(true, false));
        report("HttpURLConnection-expect", () -> connect(false, true));
    }

    static void report(String way, Callable<Integer> run) {
        try {
            System.out.println(way + " " + run.call());
        } catch (Exception e) {
            System.out.println(way + " " + e.getClass().getSimpleName());
        }
    }

    static int send(HttpClient client, HttpRequest.BodyPublisher publisher) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url)).header("Authorization", "Bearer " + token)
            .header("Content-Type", "application/json").POST(publisher).build();
        return client.send(request, HttpResponse.BodyHandlers.discarding()).statusCode();
    }

    static int connect(boolean chunked, boolean expect) throws Exception {
        HttpURLConnection connection = (HttpURLConnection) URI.create(url).toURL().openConnection();
        connection.setRequestMethod("POST");
        connection.setRequestProperty("Authorization", "Bearer " + token);
        connection.setRequestProperty("Content-Type", "application/json");
        connection.setDoOutput(true);
        if (expect) {
            connection.setRequestProperty("Expect", "100-continue");
        }
        if (chunked) {
            connection.setChunkedStreamingMode(64 << 10);
        } else {
            connection.setFixedLengthStreamingMode(body.length);
        }
        try (OutputStream out = connection.getOutputStream()) {
            out.write(body);
        } catch (java.net.ProtocolException e) { // the server did not ask to go on
            if (!expect) {
                throw e;
            }
        }
        return connection.getResponseCode();
    }
}
