package csbm.cloudstack;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.http.HttpClient;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.Arrays;

import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * The HTTP client, one for all hosts: each has a thread of its own, and there may be thousands of hosts. It is made anew when the CA file's
 * content or the connect timeout changes.
 */
final class SharedHttpClient {
    private static byte[] lastCa;
    private static Duration lastTimeout;
    private static HttpClient lastClient;

    private SharedHttpClient() {
    }

    /** @throws IOException when the CA file cannot be used */
    static synchronized HttpClient of(AdapterSettings settings) throws IOException {
        Path caFile = settings.caFile().orElse(null);
        byte[] ca = caFile == null ? new byte[0] : read(caFile);
        if (lastClient == null || !Arrays.equals(ca, lastCa) || !settings.connectTimeout().equals(lastTimeout)) {
            HttpClient.Builder builder = HttpClient.newBuilder()
                    // Version 2 would begin every plain connection with an upgrade that the service does not know.
                    .version(HttpClient.Version.HTTP_1_1)
                    .followRedirects(HttpClient.Redirect.NEVER)
                    .connectTimeout(settings.connectTimeout());
            if (caFile != null) {
                builder.sslContext(trusting(ca, caFile));
            }
            lastClient = builder.build();
            lastCa = ca;
            lastTimeout = settings.connectTimeout();
        }
        return lastClient;
    }

    private static byte[] read(Path caFile) throws IOException {
        try {
            return Files.readAllBytes(caFile);
        } catch (IOException unreadable) {
            throw new IOException("the adapter's ca.file " + caFile + " cannot be read", unreadable);
        }
    }

    private static SSLContext trusting(byte[] pem, Path caFile) throws IOException {
        try {
            KeyStore anchors = KeyStore.getInstance(KeyStore.getDefaultType());
            anchors.load(null, null);
            int count = 0;
            for (Certificate certificate : CertificateFactory.getInstance("X.509")
                    .generateCertificates(new ByteArrayInputStream(pem))) {
                anchors.setCertificateEntry("ca-" + count++, certificate);
            }
            if (count == 0) {
                throw new IOException("the adapter's ca.file " + caFile + " has no certificate");
            }
            TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            trust.init(anchors);
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(null, trust.getTrustManagers(), null);
            return context;
        } catch (GeneralSecurityException wrong) {
            throw new IOException("the adapter's ca.file " + caFile + " is no PEM file of certificates", wrong);
        }
    }
}
