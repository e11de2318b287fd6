package csbm.cloudstack;

import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpConnectTimeoutException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

import javax.net.ssl.SSLException;

import com.google.gson.Gson;

/** One host of the service: the HTTP contract of docs/cloudstack-adapter.md. */
final class HostService {
    /** A body of `{code, message}`. */
    private static final class Problem {
        private String code;
        private String message;
    }

    private final URI base;
    private final String hostPath;

    HostService(URI base, String guid) {
        this.base = base;
        hostPath = "/cloudstack/direct/hosts/" + URLEncoder.encode(guid, StandardCharsets.UTF_8).replace("+", "%20");
    }

    /**
     * Sends one command, again and again while the service cannot be reached, and gives the answer's text.
     *
     * @param body wire JSON of one command
     * @param repeatable whether it may be sent again once it may have arrived
     * @param wait how long in all
     */
    String execute(String body, boolean repeatable, Duration wait) throws ServiceFailure, InterruptedException {
        String requestId = UUID.randomUUID().toString();
        long end = System.nanoTime() + wait.toNanos();
        long silentSince = System.nanoTime();
        while (true) {
            AdapterSettings settings = settings();
            try {
                Duration left = Duration.ofNanos(Math.max(1, end - System.nanoTime()));
                return send(settings, left, request("commands", settings)
                        .header("Content-Type", "application/json")
                        .header("X-Csbm-Request-Id", requestId)
                        .POST(HttpRequest.BodyPublishers.ofString(body)));
            } catch (ServiceFailure failure) {
                long now = System.nanoTime();
                if (failure.kind() == ServiceFailure.Kind.BROKEN) {
                    // It was there until now, perhaps for most of an hour.
                    silentSince = now;
                }
                long pause = settings.retryPause().toNanos();
                boolean inTime = now + pause < end && now + pause - silentSince < settings.retry().toNanos();
                if (!inTime || !mayRepeat(failure.kind(), repeatable)) {
                    throw failure;
                }
                TimeUnit.NANOSECONDS.sleep(pause);
            }
        }
    }

    private static boolean mayRepeat(ServiceFailure.Kind kind, boolean repeatable) {
        switch (kind) {
            case UNREACHED:
                return true;
            case BROKEN:
            case UNAVAILABLE:
                return repeatable;
            default:
                return false;
        }
    }

    /** @param what `status` or `startup` */
    String get(String what) throws ServiceFailure, InterruptedException {
        AdapterSettings settings = settings();
        return send(settings, settings.statusTimeout(), request(what, settings).GET());
    }

    private AdapterSettings settings() throws ServiceFailure {
        try {
            return AdapterSettings.read();
        } catch (IOException wrong) {
            throw new ServiceFailure(ServiceFailure.Kind.REFUSED, wrong.getMessage());
        }
    }

    private HttpRequest.Builder request(String what, AdapterSettings settings) {
        return HttpRequest.newBuilder(URI.create(base + hostPath + "/" + what))
                .header("Authorization", "Bearer " + settings.token())
                .header("Accept", "application/json")
                .header("User-Agent", "csbm-adapter/" + AdapterVersion.TEXT);
    }

    private String send(AdapterSettings settings, Duration timeout, HttpRequest.Builder request)
            throws ServiceFailure, InterruptedException {
        CompletableFuture<HttpResponse<String>> sent = null;
        try {
            HttpClient client = SharedHttpClient.of(settings);
            // The request's own timeout ends when the headers are there, and the service may send those long before the answer.
            sent = client.sendAsync(request.timeout(timeout).build(), HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
            return body(sent.get(timeout.toMillis() + 1, TimeUnit.MILLISECONDS));
        } catch (TimeoutException late) {
            throw late(timeout);
        } catch (ExecutionException failed) {
            throw failure(failed.getCause(), timeout);
        } catch (IOException wrong) {
            throw new ServiceFailure(ServiceFailure.Kind.REFUSED, wrong.getMessage());
        } finally {
            if (sent != null) {
                sent.cancel(true);
            }
        }
    }

    private ServiceFailure late(Duration timeout) {
        return new ServiceFailure(ServiceFailure.Kind.LATE, where() + " did not answer within " + timeout.toSeconds()
                + " s; what it began goes on there: look at it with csbm operation list");
    }

    private ServiceFailure failure(Throwable cause, Duration timeout) {
        if (cause instanceof HttpConnectTimeoutException || cause instanceof ConnectException) {
            return new ServiceFailure(ServiceFailure.Kind.UNREACHED, where() + " cannot be reached" + said(cause));
        }
        if (cause instanceof java.net.http.HttpTimeoutException) {
            return late(timeout);
        }
        if (cause instanceof SSLException) {
            // A hand-shake that fails now fails again: a wrong certificate, or a wrong ca.file.
            return new ServiceFailure(ServiceFailure.Kind.REFUSED, where() + " was not trusted, see ca.file of the adapter's settings"
                    + said(cause));
        }
        return new ServiceFailure(ServiceFailure.Kind.BROKEN, "the connection to " + where() + " broke" + said(cause));
    }

    private static String said(Throwable cause) {
        return cause.getMessage() == null ? "" : ": " + cause.getMessage();
    }

    private String body(HttpResponse<String> response) throws ServiceFailure {
        int status = response.statusCode();
        if (status == 200) {
            return response.body();
        }
        String text = where() + " said " + status + problem(response.body());
        if (status == 502 || status == 503 || status == 504) {
            throw new ServiceFailure(ServiceFailure.Kind.UNAVAILABLE, text);
        }
        if (status == 401 || status == 403) {
            throw new ServiceFailure(ServiceFailure.Kind.REFUSED, text + "; see token of the adapter's settings");
        }
        throw new ServiceFailure(ServiceFailure.Kind.REFUSED, text);
    }

    private static String problem(String body) {
        try {
            Problem problem = new Gson().fromJson(body, Problem.class);
            if (problem != null && problem.message != null) {
                return " (" + problem.code + "): " + problem.message;
            }
        } catch (RuntimeException notJson) {
            // A page of some proxy; the status says enough.
        }
        return "";
    }

    private String where() {
        return "the bare-metal service at " + base;
    }
}
