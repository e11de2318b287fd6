package csbm.cloudstack;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import com.cloud.agent.api.StartupCommand;
import com.cloud.agent.api.StartupRoutingCommand;
import com.cloud.host.HostVO;
import com.cloud.hypervisor.Hypervisor.HypervisorType;
import com.cloud.resource.ResourceManager;
import com.cloud.resource.ResourceStateAdapter;

/** Registers and asks adapters as ResourceManagerImpl does: a name once, and the first answer counts. */
final class FakeResourceManager implements ResourceManager {
    final Map<String, ResourceStateAdapter> adapters = new LinkedHashMap<>();
    HypervisorType filledType;
    Map<String, String> filledDetails;
    int filled;

    @Override
    public void registerResourceStateAdapter(String name, ResourceStateAdapter adapter) {
        if (adapters.putIfAbsent(name, adapter) != null) {
            throw new IllegalStateException(name + " has registered");
        }
    }

    @Override
    public void unregisterResourceStateAdapter(String name) {
        adapters.remove(name);
    }

    @Override
    public HostVO fillRoutingHostVO(HostVO host, StartupRoutingCommand startup, HypervisorType type, Map<String, String> details,
            List<String> hostTags) {
        filledType = type;
        filledDetails = details;
        filled++;
        return host;
    }

    HostVO connect(HostVO row, StartupCommand... startup) {
        for (ResourceStateAdapter adapter : adapters.values()) {
            HostVO host = adapter.createHostVOForConnectedAgent(row, startup);
            if (host != null) {
                return host;
            }
        }
        return null;
    }
}
