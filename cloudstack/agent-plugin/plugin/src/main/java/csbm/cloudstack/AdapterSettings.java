package csbm.cloudstack;

import java.io.IOException;
import java.io.Reader;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.Properties;

/**
 * What the direct resource must know besides the service's address. It is a file on the management server and no host detail or global setting,
 * since those are shown to every administrator and stand in the database. It is read for every request, so that a new
 * token needs no restart.
 */
final class AdapterSettings {
    /** System property that names another file. */
    static final String FILE_PROPERTY = "csbm.adapter.settings";
    private static final String USUAL_FILE = "/etc/cloudstack/management/csbm-adapter.properties";

    private final String token;
    private final Path caFile;
    private final Duration connectTimeout;
    private final Duration statusTimeout;
    private final Duration retry;
    private final Duration retryPause;

    private AdapterSettings(Properties file) throws IOException {
        token = file.getProperty("token", "").trim();
        if (!token.matches("[\\x21-\\x7e]+")) {
            throw new IOException("token is missing, or is not printable ASCII without spaces");
        }
        String ca = file.getProperty("ca.file", "").trim();
        caFile = ca.isEmpty() ? null : Path.of(ca);
        connectTimeout = seconds(file, "connect.timeout.seconds", "10");
        statusTimeout = seconds(file, "status.timeout.seconds", "10");
        retry = seconds(file, "retry.seconds", "120");
        retryPause = seconds(file, "retry.pause.seconds", "5");
    }

    /** @throws IOException naming the file and what is wrong with it; never with a value of it */
    static AdapterSettings read() throws IOException {
        Path path = Path.of(System.getProperty(FILE_PROPERTY, USUAL_FILE));
        Properties file = new Properties();
        try (Reader reader = Files.newBufferedReader(path, StandardCharsets.UTF_8)) {
            file.load(reader);
            return new AdapterSettings(file);
        } catch (IOException | IllegalArgumentException wrong) {
            throw new IOException("the adapter's settings file " + path + " cannot be used: " + reason(wrong), wrong);
        }
    }

    private static String reason(Exception wrong) {
        if (wrong instanceof java.nio.file.NoSuchFileException) {
            return "it does not exist";
        }
        if (wrong instanceof java.nio.file.AccessDeniedException) {
            return "the management server's user may not read it";
        }
        return wrong.getMessage();
    }

    private static Duration seconds(Properties file, String key, String usual) throws IOException {
        try {
            long millis = new BigDecimal(file.getProperty(key, usual).trim()).movePointRight(3).longValueExact();
            if (millis > 0) {
                return Duration.ofMillis(millis);
            }
        } catch (ArithmeticException | NumberFormatException notANumber) {
            // Told below, together with zero and less.
        }
        throw new IOException(key + " is not a number of seconds above 0, with at most three decimals");
    }

    /** Sent as bearer token. A secret: not for logs or errors. */
    String token() {
        return token;
    }

    /** PEM file with the only certificates that are trusted; empty means Java's own trust store. */
    Optional<Path> caFile() {
        return Optional.ofNullable(caFile);
    }

    Duration connectTimeout() {
        return connectTimeout;
    }

    /** For the whole of a status or startup request. */
    Duration statusTimeout() {
        return statusTimeout;
    }

    /** How long a command is sent again while the service does not answer. */
    Duration retry() {
        return retry;
    }

    Duration retryPause() {
        return retryPause;
    }
}
