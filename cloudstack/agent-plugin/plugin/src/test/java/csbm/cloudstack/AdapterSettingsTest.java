package csbm.cloudstack;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AdapterSettingsTest {
    @TempDir
    Path folder;

    @AfterEach
    void forget() {
        System.clearProperty(AdapterSettings.FILE_PROPERTY);
    }

    @Test
    void aTokenIsEnough() throws Exception {
        AdapterSettings settings = read("token = abc");
        assertEquals("abc", settings.token());
        assertTrue(settings.caFile().isEmpty());
        assertEquals(Duration.ofSeconds(10), settings.connectTimeout());
        assertEquals(Duration.ofSeconds(10), settings.statusTimeout());
        assertEquals(Duration.ofMinutes(2), settings.retry());
        assertEquals(Duration.ofSeconds(5), settings.retryPause());
    }

    @Test
    void everythingMayBeSet() throws Exception {
        AdapterSettings settings = read("token=abc\nca.file=/etc/ca.pem\nconnect.timeout.seconds=0.25\nstatus.timeout.seconds=3\n"
                + "retry.seconds=60\nretry.pause.seconds=1.5");
        assertEquals(Path.of("/etc/ca.pem"), settings.caFile().orElseThrow());
        assertEquals(Duration.ofMillis(250), settings.connectTimeout());
        assertEquals(Duration.ofSeconds(3), settings.statusTimeout());
        assertEquals(Duration.ofSeconds(60), settings.retry());
        assertEquals(Duration.ofMillis(1500), settings.retryPause());
    }

    @Test
    void aWrongFileIsToldWithoutItsToken() throws Exception {
        assertWrong("", "token is missing");
        assertWrong("token=se cret", "token is missing");
        assertWrong("token=secret\\r\\nX-Other: 1", "token is missing");
        assertWrong("token=secret\nretry.seconds=soon", "retry.seconds is not a number");
        assertWrong("token=secret\nretry.seconds=0", "retry.seconds is not a number");
        assertWrong("token=secret\nretry.seconds=1e99", "retry.seconds is not a number");
        assertWrong("token=\\u00zz-secret", "cannot be used");
    }

    private void assertWrong(String text, String why) {
        IOException wrong = assertThrows(IOException.class, () -> read(text));
        assertTrue(wrong.getMessage().contains(why), wrong.getMessage());
        assertFalse(wrong.getMessage().contains("secret"), wrong.getMessage());
    }

    private AdapterSettings read(String text) throws IOException {
        Path file = Files.writeString(folder.resolve("settings"), text);
        System.setProperty(AdapterSettings.FILE_PROPERTY, file.toString());
        return AdapterSettings.read();
    }
}
