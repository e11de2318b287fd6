package csbm.cloudstack;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;

import javax.naming.ConfigurationException;

import org.apache.cloudstack.framework.config.dao.ConfigurationDao;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import com.cloud.agent.api.Answer;
import com.cloud.agent.api.Command;
import com.cloud.agent.api.PingRoutingCommand;
import com.cloud.agent.api.ReadyCommand;
import com.cloud.agent.api.RebootAnswer;
import com.cloud.agent.api.RebootCommand;
import com.cloud.agent.api.StartAnswer;
import com.cloud.agent.api.StartCommand;
import com.cloud.agent.api.StartupRoutingCommand;
import com.cloud.agent.api.StopAnswer;
import com.cloud.agent.api.StopCommand;
import com.cloud.agent.api.UnsupportedAnswer;
import com.cloud.agent.api.baremetal.IpmISetBootDevCommand;
import com.cloud.serializer.GsonHelper;
import com.cloud.vm.VirtualMachine.PowerState;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;

class DirectBareMetalResourceTest {
    private static final String GUID = "cdd95961-99cd-3911-a28a-44431b9755b7";
    private static final String TOKEN = "s3cret-token";
    private static final String STOPPED = "[{\"com.cloud.agent.api.StopAnswer\":{\"result\":true,\"details\":\"Success\",\"contextMap\":{},\"wait\":0}}]";
    private static final String REBOOTED = "[{\"com.cloud.agent.api.RebootAnswer\":{\"result\":true}}]";

    @TempDir
    Path folder;

    private final Map<String, String> global = new HashMap<>();
    private FakeService service;

    @BeforeEach
    void startService() throws IOException {
        service = new FakeService();
        global.put("external.baremetal.system.url", service.url() + "/csbm/");
        settings("retry.seconds=20", "retry.pause.seconds=0.05");
    }

    @AfterEach
    void stopService() {
        service.close();
        System.clearProperty(AdapterSettings.FILE_PROPERTY);
    }

    // The host as such

    @Test
    void aNewHostTakesItsFactsFromTheInventory() throws Exception {
        service.then(200, "[{\"com.cloud.agent.api.StartupRoutingCommand\":{\"cpus\":32,\"speed\":2000,\"memory\":137438953472,"
                + "\"privateMacAddress\":\"52:54:00:aa:00:01\",\"guid\":\"csbm-abc123\"}}]");
        Map<String, Object> params = params(null);
        params.put("cpunumber", "8");
        DirectBareMetalResource resource = new DirectBareMetalResource();
        assertTrue(resource.configure("Bare Metal Agent", params));
        assertEquals("GET /csbm/cloudstack/direct/hosts/" + GUID + "/startup", service.heard.get(0).line);
        assertEquals("Bearer " + TOKEN, service.heard.get(0).authorization);
        assertEquals("32", params.get("cpunumber"), "the management server keeps what stands in the parameters");
        assertEquals("131072", params.get("memory"), "MiB");
        StartupRoutingCommand startup = (StartupRoutingCommand) resource.initialize()[0];
        assertEquals(GUID, startup.getGuid(), "the host's guid is the management server's");
        assertEquals(137438953472L, startup.getMemory());
        assertEquals("52:54:00:aa:00:01", startup.getPrivateMacAddress());
    }

    @Test
    void aHostThatTheServiceDoesNotKnowIsNotAdded() {
        service.then(404, "{\"code\":\"machine.unknown\",\"message\":\"no machine has this guid\"}");
        ConfigurationException refused = assertThrows(ConfigurationException.class,
                () -> new DirectBareMetalResource().configure("Bare Metal Agent", params(null)));
        assertTrue(refused.getMessage().contains("404 (machine.unknown): no machine has this guid"), refused.getMessage());
    }

    @Test
    void aKnownHostComesUpWhileTheServiceIsDown() throws Exception {
        service.close();
        DirectBareMetalResource resource = known();
        assertEquals(16, ((StartupRoutingCommand) resource.initialize()[0]).getCpus());
        assertTrue(resource.executeRequest(new ReadyCommand()).getResult());
        assertNull(resource.getCurrentStatus(42));
    }

    @Test
    void theUrlIsTheGlobalSettingAndElseTheHostsDetail() throws Exception {
        service.then(200, REBOOTED);
        global.remove("external.baremetal.system.url");
        Map<String, Object> params = params(42L);
        assertThrows(ConfigurationException.class, () -> new DirectBareMetalResource().configure("node-1", params));
        params.put("ExternalBaremetalSystemUrl", service.url());
        DirectBareMetalResource resource = new DirectBareMetalResource();
        resource.configure("node-1", params);
        assertTrue(resource.executeRequest(new RebootCommand("i-2-77-VM")).getResult());
        for (String wrong : new String[] {"MaasIP=192.0.2.1;MaasKey=a:b:c", "ftp://x", "https://u:secret@x", "https://x/?a=b", "https:///p"}) {
            global.put("external.baremetal.system.url", wrong);
            ConfigurationException refused = assertThrows(ConfigurationException.class,
                    () -> new DirectBareMetalResource().configure("node-1", params), wrong);
            assertFalse(refused.getMessage().contains("secret"));
        }
    }

    // Commands

    @Test
    void aCommandTravelsAsOnTheWire() throws Exception {
        service.then(200, Vectors.json("start-answer-ok"));
        StartCommand start = (StartCommand) GsonHelper.getGson().fromJson(Vectors.json("start-in-sequence"), Command[].class)[0];
        Answer answer = known().executeRequest(start);
        FakeService.Heard heard = service.heard.get(0);
        assertEquals("POST /csbm/cloudstack/direct/hosts/" + GUID + "/commands", heard.line);
        assertEquals("Bearer " + TOKEN, heard.authorization);
        assertEquals("application/json", heard.contentType);
        JsonObject sent = JsonParser.parseString(heard.body).getAsJsonArray().get(0).getAsJsonObject()
                .getAsJsonObject("com.cloud.agent.api.StartCommand");
        assertEquals("i-2-77-VM", sent.getAsJsonObject("vm").get("name").getAsString());
        assertEquals(1800, sent.get("wait").getAsInt(), "the wait is told where the command had none");
        assertTrue(assertInstanceOf(StartAnswer.class, answer).getResult());
        assertEquals("i-2-77-VM", ((StartAnswer) answer).getVirtualMachine().getName());
    }

    @Test
    void theWaitIsTheCommandsElseTheGlobalOne() throws Exception {
        service.then(200, STOPPED);
        global.put("wait", "3600");
        DirectBareMetalResource resource = known();
        StopCommand timed = new StopCommand("i-2-77-VM", false);
        timed.setWait(5400);
        resource.executeRequest(timed);
        resource.executeRequest(new StopCommand("i-2-77-VM", false));
        assertTrue(service.heard.get(0).body.contains("\"wait\":5400"));
        assertTrue(service.heard.get(1).body.contains("\"wait\":3600"));
        assertNotEquals(service.heard.get(0).requestId, service.heard.get(1).requestId);
    }

    @Test
    void aFailedCommandIsTheServicesAnswer() throws Exception {
        service.then(200, Vectors.json("stop-answer-fail"));
        Answer answer = known().executeRequest(new StopCommand("i-2-77-VM", true));
        assertFalse(assertInstanceOf(StopAnswer.class, answer).getResult());
        assertFalse(answer.getDetails().isEmpty());
        assertTrue(service.heard.get(0).body.contains("\"expungeVM\":true"));
    }

    @Test
    void anUnsupportedCommandIsTheServicesAnswerToo() throws Exception {
        service.then(200, Vectors.json("unsupported-answer"));
        assertInstanceOf(UnsupportedAnswer.class, known().executeRequest(new IpmISetBootDevCommand()));
    }

    @Test
    void spacesBeforeALateAnswerKeepTheConnection() throws Exception {
        service.then(exchange -> {
            exchange.sendResponseHeaders(200, 0);
            try (OutputStream out = exchange.getResponseBody()) {
                for (int i = 0; i < 3; i++) {
                    out.write('\n');
                    out.flush();
                }
                out.write(STOPPED.getBytes(StandardCharsets.UTF_8));
            }
        });
        assertTrue(known().executeRequest(new StopCommand("i-2-77-VM", false)).getResult());
    }

    // Failures

    @Test
    void aRefusalBecomesTheRightAnswerWithTheReason() throws Exception {
        service.then(401, "{\"code\":\"auth.token\",\"message\":\"this token is not known\"}");
        Answer answer = known().executeRequest(new StopCommand("i-2-77-VM", false));
        assertFalse(assertInstanceOf(StopAnswer.class, answer).getResult());
        assertTrue(answer.getDetails().contains("401 (auth.token): this token is not known"), answer.getDetails());
        assertFalse(answer.getDetails().contains(TOKEN));
        assertEquals(1, service.heard.size(), "a refusal is not repeated");
        Answer plain = known().executeRequest(new IpmISetBootDevCommand());
        assertSame(Answer.class, plain.getClass(), "a command without an answer class gets a plain Answer");
        assertFalse(plain.getResult());
    }

    @Test
    void aServiceThatCannotBeReachedIsNamed() throws Exception {
        settings("retry.seconds=0.2", "retry.pause.seconds=0.05");
        service.close();
        Answer answer = known().executeRequest(new RebootCommand("i-2-77-VM"));
        assertFalse(assertInstanceOf(RebootAnswer.class, answer).getResult());
        assertTrue(answer.getDetails().contains(service.url() + "/csbm cannot be reached"), answer.getDetails());
    }

    @Test
    void aServiceThatRestartsIsWaitedFor() throws Exception {
        service.then(503, "{\"code\":\"service.starting\",\"message\":\"starting\"}")
                .then(exchange -> exchange.close())
                .then(502, "<html>")
                .then(200, STOPPED);
        assertTrue(known().executeRequest(new StopCommand("i-2-77-VM", false)).getResult());
        assertEquals(4, service.heard.size());
        assertEquals(1, service.heard.stream().map(heard -> heard.requestId).distinct().count(), "repetitions keep their id");
        assertEquals(1, service.heard.stream().map(heard -> heard.body).distinct().count());
    }

    @Test
    void aServiceThatComesLateIsReachedByARebootToo() throws Exception {
        int port;
        try (ServerSocket free = new ServerSocket()) {
            free.bind(FakeService.loopback(0));
            port = free.getLocalPort();
        }
        global.put("external.baremetal.system.url", "http://127.0.0.1:" + port);
        DirectBareMetalResource resource = known();
        CountDownLatch began = new CountDownLatch(1);
        Answer[] answer = new Answer[1];
        Thread command = new Thread(() -> {
            began.countDown();
            answer[0] = resource.executeRequest(new RebootCommand("i-2-77-VM"));
        });
        command.start();
        began.await();
        com.sun.net.httpserver.HttpServer late = com.sun.net.httpserver.HttpServer.create(FakeService.loopback(port), 0);
        late.createContext("/", exchange -> FakeService.answer(exchange, 200, REBOOTED));
        late.start();
        try {
            command.join();
        } finally {
            late.stop(0);
        }
        assertTrue(answer[0].getResult(), answer[0].getDetails());
    }

    @Test
    void aRebootIsNotSentTwice() throws Exception {
        service.then(exchange -> exchange.close()).then(200, REBOOTED);
        Answer answer = known().executeRequest(new RebootCommand("i-2-77-VM"));
        assertFalse(answer.getResult());
        assertTrue(answer.getDetails().contains("broke"), answer.getDetails());
        assertEquals(1, service.heard.size());
    }

    @Test
    void aCommandEndsWithItsWait() throws Exception {
        CountDownLatch over = new CountDownLatch(1);
        service.then(exchange -> {
            exchange.sendResponseHeaders(200, 0);
            exchange.getResponseBody().write(' ');
            exchange.getResponseBody().flush();
            await(over);
        });
        StopCommand stop = new StopCommand("i-2-77-VM", false);
        stop.setWait(1);
        Answer answer = known().executeRequest(stop);
        over.countDown();
        assertFalse(assertInstanceOf(StopAnswer.class, answer).getResult());
        assertTrue(answer.getDetails().contains("did not answer within"), answer.getDetails());
    }

    @Test
    void whatIsNoAnswerIsToldAsSuch() throws Exception {
        for (String body : new String[] {"", "null", "[]", "{}", "<html>", "[null]", "[{}]", STOPPED.replace("StopAnswer", "NoSuchAnswer"),
            STOPPED.replace("com.cloud.agent.api.StopAnswer", "java.lang.String"), STOPPED.substring(0, 40),
            "[" + STOPPED.substring(1, STOPPED.length() - 1) + "," + STOPPED.substring(1)}) {
            try (FakeService odd = new FakeService().then(200, body)) {
                global.put("external.baremetal.system.url", odd.url());
                Answer answer = known().executeRequest(new StopCommand("i-2-77-VM", false));
                assertFalse(assertInstanceOf(StopAnswer.class, answer).getResult(), body);
                assertTrue(answer.getDetails().contains("not understood"), body + " gave " + answer.getDetails());
            }
        }
    }

    @Test
    void settingsAreReadAnewForEveryRequest() throws Exception {
        service.then(200, STOPPED);
        DirectBareMetalResource resource = known();
        Files.delete(settingsFile());
        Answer answer = resource.executeRequest(new StopCommand("i-2-77-VM", false));
        assertTrue(answer.getDetails().contains(settingsFile() + " cannot be used: it does not exist"), answer.getDetails());
        Files.writeString(settingsFile(), "token=next-token\n");
        assertTrue(resource.executeRequest(new StopCommand("i-2-77-VM", false)).getResult());
        assertEquals("Bearer next-token", service.heard.get(0).authorization);
    }

    @Test
    void anInterruptedCommandEnds() throws Exception {
        CountDownLatch over = new CountDownLatch(1);
        CountDownLatch arrived = new CountDownLatch(1);
        service.then(exchange -> {
            arrived.countDown();
            await(over);
        });
        DirectBareMetalResource resource = known();
        Answer[] answer = new Answer[1];
        boolean[] interrupted = new boolean[1];
        Thread command = new Thread(() -> {
            answer[0] = resource.executeRequest(new StopCommand("i-2-77-VM", false));
            interrupted[0] = Thread.currentThread().isInterrupted();
        });
        command.start();
        arrived.await();
        command.interrupt();
        command.join();
        over.countDown();
        assertFalse(answer[0].getResult());
        assertTrue(interrupted[0], "the thread's owner still learns of it");
    }

    // Status

    @Test
    void aStatusIsAPingWithTheReport() throws Exception {
        service.then(200, Vectors.json("ping-routing-vm-report")).then(200, Vectors.json("ping-routing-null-report"));
        DirectBareMetalResource resource = known();
        PingRoutingCommand ping = (PingRoutingCommand) resource.getCurrentStatus(7);
        assertEquals("GET /csbm/cloudstack/direct/hosts/" + GUID + "/status", service.heard.get(0).line);
        assertEquals(7, ping.getHostId(), "the id is the management server's");
        assertEquals(PowerState.PowerOn, ping.getHostVmStateReport().get("i-2-77-VM").getState());
        assertNull(((PingRoutingCommand) resource.getCurrentStatus(7)).getHostVmStateReport());
    }

    @Test
    void noStatusIsNoPing() throws Exception {
        service.then(503, "{\"code\":\"power.unreachable\",\"message\":\"the BMC does not answer\"}").then(200, STOPPED)
                .then(200, Vectors.json("ping-routing-vm-report"));
        DirectBareMetalResource resource = known();
        assertNull(resource.getCurrentStatus(7));
        assertNull(resource.getCurrentStatus(7));
        assertEquals(7, resource.getCurrentStatus(7).getHostId());
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
        }
    }

    private Path settingsFile() {
        return folder.resolve("csbm-adapter.properties");
    }

    private void settings(String... lines) throws IOException {
        Files.writeString(settingsFile(), "token=" + TOKEN + "\n" + String.join("\n", lines) + "\n");
        System.setProperty(AdapterSettings.FILE_PROPERTY, settingsFile().toString());
    }

    private DirectBareMetalResource known() throws ConfigurationException {
        DirectBareMetalResource resource = new DirectBareMetalResource();
        resource.configure("192.0.2.101", params(42L));
        return resource;
    }

    /** What the management server gives a host: the row's id only when there is one already. */
    private Map<String, Object> params(Long hostId) {
        Map<String, Object> params = new HashMap<>();
        params.put("guid", GUID);
        params.put("configDao", (ConfigurationDao) global::get);
        if (hostId != null) {
            params.put("hostId", hostId);
            params.putAll(Map.of("cpunumber", "16", "cpuspeed", "2000", "memory", "65536", "hostmac", "52:54:00:aa:00:01"));
        }
        return params;
    }
}
