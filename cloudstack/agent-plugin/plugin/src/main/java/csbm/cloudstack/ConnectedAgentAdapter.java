package csbm.cloudstack;

import java.util.List;
import java.util.Map;

import javax.naming.ConfigurationException;

import com.cloud.agent.api.StartupCommand;
import com.cloud.agent.api.StartupRoutingCommand;
import com.cloud.host.HostVO;
import com.cloud.host.dao.HostDao;
import com.cloud.hypervisor.Hypervisor.HypervisorType;
import com.cloud.resource.ResourceManager;
import com.cloud.resource.ResourceStateAdapter;
import com.cloud.resource.ServerResource;
import com.cloud.utils.component.AdapterBase;

/**
 * Lets csbm's machines in as connected bare-metal agents. The management server asks every registered adapter whether a host that
 * connected is its own; no stock one knows such a host (ResourceManagerImpl.createHostVO), so it is refused. This one answers for csbm's hosts
 * and for nobody else's.
 */
public class ConnectedAgentAdapter extends AdapterBase implements ResourceStateAdapter {
    /** What csbm's host guids begin with; no other agent of CloudStack's makes such a guid. */
    static final String GUID_PREFIX = "csbm-";

    /** The management server keeps one adapter for each name, and refuses a second one. */
    static final String REGISTERED_AS = "CsbmConnectedAgentAdapter";

    private final ManagementLog log = ManagementLog.of(ConnectedAgentAdapter.class);
    private final ResourceManager resourceManager;
    private final HostDao hostDao;

    public ConnectedAgentAdapter(ResourceManager resourceManager, HostDao hostDao) {
        this.resourceManager = resourceManager;
        this.hostDao = hostDao;
    }

    @Override
    public boolean configure(String name, Map<String, Object> params) throws ConfigurationException {
        // A module that is loaded again finds the entry of its former self.
        resourceManager.unregisterResourceStateAdapter(REGISTERED_AS);
        resourceManager.registerResourceStateAdapter(REGISTERED_AS, this);
        log.info("csbm-adapter " + AdapterVersion.TEXT + ": hosts whose guid begins with " + GUID_PREFIX
                + " are accepted as connected bare-metal agents");
        return super.configure(name, params);
    }

    @Override
    public boolean stop() {
        resourceManager.unregisterResourceStateAdapter(REGISTERED_AS);
        return super.stop();
    }

    @Override
    public HostVO createHostVOForConnectedAgent(HostVO host, StartupCommand[] commands) {
        if (commands.length == 0 || !(commands[0] instanceof StartupRoutingCommand)) {
            return null;
        }
        StartupRoutingCommand startup = (StartupRoutingCommand) commands[0];
        if (startup.getHypervisorType() != HypervisorType.BareMetal || !isOurs(startup.getGuid())) {
            return null;
        }
        // The details of an earlier connection stay, and those of the command are added to them.
        hostDao.loadDetails(host);
        HostVO filled = resourceManager.fillRoutingHostVO(host, startup, HypervisorType.BareMetal, host.getDetails(), null);
        log.info("host " + startup.getGuid() + " is csbm's and was accepted");
        return filled;
    }

    private static boolean isOurs(String guid) {
        return guid != null && guid.startsWith(GUID_PREFIX);
    }

    /** Hosts that were added by hand (route C too) are the stock BareMetalDiscoverer's. */
    @Override
    public HostVO createHostVOForDirectConnectAgent(HostVO host, StartupCommand[] startup, ServerResource resource,
            Map<String, String> details, List<String> hostTags) {
        return null;
    }

    /** The stock BareMetalDiscoverer already handles every bare-metal host. */
    @Override
    public DeleteHostAnswer deleteHost(HostVO host, boolean isForced, boolean isForceDeleteStorage) {
        return null;
    }
}
