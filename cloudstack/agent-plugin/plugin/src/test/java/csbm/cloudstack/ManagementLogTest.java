package csbm.cloudstack;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;

import org.apache.log4j.Logger;
import org.apache.log4j.SimpleLayout;
import org.apache.log4j.WriterAppender;
import org.junit.jupiter.api.Test;

/** With the real libraries of both lines of releases. */
class ManagementLogTest {
    @Test
    void writesToLog4j1() throws Exception {
        StringWriter text = new StringWriter();
        WriterAppender appender = new WriterAppender(new SimpleLayout(), text);
        Logger.getRootLogger().addAppender(appender);
        try {
            ManagementLog log = ManagementLog.log4j1(ManagementLogTest.class);
            log.info("a host came");
            log.warn("a host went");
        } finally {
            Logger.getRootLogger().removeAppender(appender);
        }
        assertTrue(text.toString().contains("INFO - a host came"), text.toString());
        assertTrue(text.toString().contains("WARN - a host went"), text.toString());
    }

    @Test
    void writesToLog4j2() throws Exception {
        // Without a core the API's own logger writes to the standard error stream that it finds at first use.
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        PrintStream usual = System.err;
        System.setProperty("org.apache.logging.log4j.simplelog.level", "INFO");
        System.setErr(new PrintStream(bytes, true, StandardCharsets.UTF_8));
        try {
            ManagementLog log = ManagementLog.log4j2(ManagementLogTest.class);
            log.info("a host came");
            log.warn("a host went");
        } finally {
            System.setErr(usual);
        }
        String text = bytes.toString(StandardCharsets.UTF_8);
        assertTrue(text.contains("INFO a host came") || text.contains("INFO ManagementLogTest a host came"), text);
        assertTrue(text.contains("a host went"), text);
    }
}
