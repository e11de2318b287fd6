package csbm.cloudstack;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.InputStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.Base64;

import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TlsTest {
    private static final char[] PASSWORD = "changeit".toCharArray();

    @TempDir
    Path folder;

    @AfterEach
    void forget() {
        System.clearProperty(AdapterSettings.FILE_PROPERTY);
    }

    @Test
    void onlyACertificateOfTheCaFileIsTrusted() throws Exception {
        KeyStore ours = certificate("ours", "ip:127.0.0.1");
        KeyStore foreign = certificate("foreign", "ip:127.0.0.1");
        try (FakeService service = new FakeService(tls(ours)).then(200, "ok")) {
            HostService host = new HostService(URI.create(service.url()), "guid");
            settings("ca.file=" + pem(ours));
            assertEquals("ok", host.get("status"));
            settings("ca.file=" + pem(foreign));
            assertRefused(host, "was not trusted");
            settings("");
            assertRefused(host, "was not trusted");
            assertEquals(1, service.heard.size(), "nothing, and so no token, is sent to who is not trusted");
        }
    }

    @Test
    void theCertificateMustNameTheHost() throws Exception {
        KeyStore other = certificate("other", "dns:csbm.example.org");
        try (FakeService service = new FakeService(tls(other)).then(200, "ok")) {
            settings("ca.file=" + pem(other));
            assertRefused(new HostService(URI.create(service.url()), "guid"), "was not trusted");
            assertEquals(0, service.heard.size());
        }
    }

    @Test
    void aCaFileThatIsNoneIsTold() throws Exception {
        HostService host = new HostService(URI.create("https://127.0.0.1:1"), "guid");
        settings("ca.file=" + folder.resolve("absent.pem"));
        assertRefused(host, "cannot be read");
        Path empty = Files.writeString(folder.resolve("empty.pem"), "");
        settings("ca.file=" + empty);
        assertRefused(host, "has no certificate");
        Path text = Files.writeString(folder.resolve("text.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        settings("ca.file=" + text);
        assertRefused(host, "is no PEM file");
    }

    private static void assertRefused(HostService host, String why) {
        ServiceFailure failure = assertThrows(ServiceFailure.class, () -> host.get("status"));
        assertEquals(ServiceFailure.Kind.REFUSED, failure.kind());
        assertTrue(failure.getMessage().contains(why), failure.getMessage());
    }

    private void settings(String line) throws Exception {
        Path file = Files.writeString(folder.resolve("settings"), "token=t\n" + line + "\n");
        System.setProperty(AdapterSettings.FILE_PROPERTY, file.toString());
    }

    private KeyStore certificate(String name, String san) throws Exception {
        Path file = folder.resolve(name + ".p12");
        Process keytool = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "keytool").toString(), "-genkeypair",
                "-alias", "key", "-keyalg", "EC", "-dname", "CN=" + name, "-ext", "san=" + san, "-validity", "2", "-storetype", "PKCS12",
                "-keystore", file.toString(), "-storepass", new String(PASSWORD)).redirectErrorStream(true).start();
        String said = new String(keytool.getInputStream().readAllBytes());
        assertEquals(0, keytool.waitFor(), said);
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream in = Files.newInputStream(file)) {
            store.load(in, PASSWORD);
        }
        return store;
    }

    private static SSLContext tls(KeyStore store) throws Exception {
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(store, PASSWORD);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), null, null);
        return context;
    }

    private Path pem(KeyStore store) throws Exception {
        String base64 = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(store.getCertificate("key").getEncoded());
        return Files.writeString(Files.createTempFile(folder, "ca", ".pem"),
                "-----BEGIN CERTIFICATE-----\n" + base64 + "\n-----END CERTIFICATE-----\n");
    }
}
