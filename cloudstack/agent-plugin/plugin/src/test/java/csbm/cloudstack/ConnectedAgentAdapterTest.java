package csbm.cloudstack;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.util.Map;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import com.cloud.agent.api.StartupCommand;
import com.cloud.agent.api.StartupRoutingCommand;
import com.cloud.host.Host;
import com.cloud.host.HostVO;
import com.cloud.hypervisor.Hypervisor.HypervisorType;

class ConnectedAgentAdapterTest {
    private final FakeResourceManager manager = new FakeResourceManager();
    private final ConnectedAgentAdapter adapter = new ConnectedAgentAdapter(manager,
            host -> host.setDetails(Map.of("loaded", "true")));
    private final HostVO row = new HostVO("csbm-abc123");

    @BeforeEach
    void configure() throws Exception {
        adapter.configure("csbmConnectedAgentAdapter", Map.of());
    }

    @Test
    void acceptsAHostOfCsbm() {
        HostVO accepted = manager.connect(row, startup("csbm-abc123", HypervisorType.BareMetal));
        assertSame(row, accepted);
        assertEquals(HypervisorType.BareMetal, manager.filledType);
        assertEquals(Map.of("loaded", "true"), manager.filledDetails, "details of an earlier connection are kept");
    }

    @Test
    void acceptsItAgainWhenItConnectsAgain() {
        manager.connect(row, startup("csbm-abc123", HypervisorType.BareMetal));
        assertSame(row, manager.connect(row, startup("csbm-abc123", HypervisorType.BareMetal)));
        assertEquals(2, manager.filled);
    }

    @Test
    void leavesEveryOtherHostAlone() {
        assertNull(manager.connect(row, startup("csbm-abc123", HypervisorType.KVM)));
        assertNull(manager.connect(row, startup("0f0e-LibvirtComputingResource", HypervisorType.KVM)));
        assertNull(manager.connect(row, startup("b1f2c3d4-BareMetalProvider", HypervisorType.BareMetal)));
        assertNull(manager.connect(row, startup(null, HypervisorType.BareMetal)));
        assertNull(manager.connect(row, startup("csbm-abc123", null)));
        StartupCommand proxy = new StartupCommand(Host.Type.ConsoleProxy);
        proxy.setGuid("csbm-abc123");
        assertNull(manager.connect(row, proxy));
        assertNull(manager.connect(row));
        assertEquals(0, manager.filled);
    }

    @Test
    void leavesDirectHostsAndDeletionToTheStockDiscoverer() {
        StartupCommand[] startup = {startup("csbm-abc123", HypervisorType.BareMetal)};
        assertNull(adapter.createHostVOForDirectConnectAgent(row, startup, null, Map.of(), null));
        assertNull(adapter.deleteHost(row, true, true));
    }

    @Test
    void mayBeConfiguredAgain() throws Exception {
        adapter.configure("csbmConnectedAgentAdapter", Map.of());
        new ConnectedAgentAdapter(manager, host -> { }).configure("csbmConnectedAgentAdapter", Map.of());
        assertEquals(1, manager.adapters.size());
    }

    @Test
    void isForgottenWhenStopped() {
        adapter.stop();
        assertNull(manager.connect(row, startup("csbm-abc123", HypervisorType.BareMetal)));
        assertEquals(0, manager.adapters.size());
    }

    private static StartupRoutingCommand startup(String guid, HypervisorType type) {
        StartupRoutingCommand startup = new StartupRoutingCommand();
        startup.setGuid(guid);
        startup.setHypervisorType(type);
        return startup;
    }
}
