package csbm.cloudstack;

import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

import javax.net.ssl.SSLContext;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;

/** A service on loopback that plays one reaction to each request, the last one again and again. */
final class FakeService implements AutoCloseable {
    /** What happens to one request. */
    interface Reaction {
        void play(HttpExchange exchange) throws IOException;
    }

    /** A request as it came. */
    static final class Heard {
        final String line;
        final String authorization;
        final String contentType;
        final String requestId;
        final String body;

        private Heard(HttpExchange exchange) throws IOException {
            line = exchange.getRequestMethod() + " " + exchange.getRequestURI().getRawPath();
            authorization = exchange.getRequestHeaders().getFirst("Authorization");
            contentType = exchange.getRequestHeaders().getFirst("Content-Type");
            requestId = exchange.getRequestHeaders().getFirst("X-Csbm-Request-Id");
            body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    final List<Heard> heard = Collections.synchronizedList(new ArrayList<>());
    private final Deque<Reaction> reactions = new ArrayDeque<>();
    private final HttpServer server;
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final String scheme;

    FakeService() throws IOException {
        this(HttpServer.create(loopback(0), 0), "http");
    }

    FakeService(SSLContext tls) throws IOException {
        this(secure(tls), "https");
    }

    private FakeService(HttpServer server, String scheme) {
        this.server = server;
        this.scheme = scheme;
        server.setExecutor(threads);
        server.createContext("/", this::handle);
        server.start();
    }

    private static HttpsServer secure(SSLContext tls) throws IOException {
        HttpsServer server = HttpsServer.create(loopback(0), 0);
        server.setHttpsConfigurator(new HttpsConfigurator(tls));
        return server;
    }

    static InetSocketAddress loopback(int port) {
        return new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
    }

    String url() {
        return scheme + "://127.0.0.1:" + server.getAddress().getPort();
    }

    FakeService then(Reaction reaction) {
        synchronized (reactions) {
            reactions.add(reaction);
        }
        return this;
    }

    FakeService then(int status, String body) {
        return then(exchange -> answer(exchange, status, body));
    }

    static void answer(HttpExchange exchange, int status, String body) throws IOException {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, bytes.length);
        try (OutputStream out = exchange.getResponseBody()) {
            out.write(bytes);
        }
    }

    private void handle(HttpExchange exchange) throws IOException {
        heard.add(new Heard(exchange));
        Reaction reaction;
        synchronized (reactions) {
            reaction = reactions.size() > 1 ? reactions.poll() : reactions.peek();
        }
        try {
            reaction.play(exchange);
        } finally {
            exchange.close();
        }
    }

    @Override
    public void close() {
        server.stop(0);
        threads.shutdownNow();
    }
}
