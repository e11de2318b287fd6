package csbm.cloudstack;

import java.net.URI;
import java.net.URISyntaxException;
import java.time.Duration;
import java.util.Map;
import java.util.Set;

import javax.naming.ConfigurationException;

import org.apache.cloudstack.framework.config.dao.ConfigurationDao;

import com.cloud.agent.api.Answer;
import com.cloud.agent.api.CheckNetworkCommand;
import com.cloud.agent.api.Command;
import com.cloud.agent.api.PingCommand;
import com.cloud.agent.api.PingRoutingCommand;
import com.cloud.agent.api.ReadyCommand;
import com.cloud.agent.api.StartupRoutingCommand;
import com.cloud.baremetal.networkservice.BareMetalResourceBase;

/**
 * Carries a bare-metal host's commands to csbm over HTTP, for management servers that make the host themselves: the class for the global
 * setting {@code external.baremetal.resource.classname}. The management server makes one for each host, by its constructor without
 * arguments, when the host is added and at every start of its own.
 */
public class DirectBareMetalResource extends BareMetalResourceBase {
    private static final String URL_SETTING = "external.baremetal.system.url";
    /** Key of the host detail into which BareMetalDiscoverer copies the URL (BaremetalManager.ExternalBaremetalSystemUrl). */
    private static final String URL_DETAIL = "ExternalBaremetalSystemUrl";
    /** Seconds that CloudStack waits where nothing is set. */
    private static final int USUAL_WAIT = 1800;

    /**
     * What csbm joins to the running operation, or answers by looking, when it comes again. A RebootCommand that came again after its end
     * would be a second reboot.
     */
    private static final Set<String> REPEATABLE = Set.of("StartCommand", "StopCommand", "DestroyCommand", "PlugNicCommand",
            "UnPlugNicCommand", "CheckHealthCommand", "CheckVirtualMachineCommand", "CheckOnHostCommand", "MaintainCommand");

    private final ManagementLog log = ManagementLog.of(DirectBareMetalResource.class);
    private String host;
    private ConfigurationDao settings;
    private HostService service;
    /** Why the last ping failed, so that the log tells changes and not every minute the same. */
    private volatile String silence = "";

    @Override
    public boolean configure(String name, Map<String, Object> params) throws ConfigurationException {
        String guid = (String) params.get("guid");
        if (guid == null) {
            throw new ConfigurationException("csbm-adapter: the management server gave the host no guid");
        }
        settings = (ConfigurationDao) params.get("configDao");
        host = guid;
        service = new HostService(serviceUrl(params), guid);
        // At a restart the host has a row already, and comes up from its details also while the service is down.
        if (params.get("hostId") == null) {
            takeFacts(params);
        }
        return super.configure(name, params);
    }

    /** The global setting counts, so that the service can move; the host's detail is what it was when the host was added. */
    private URI serviceUrl(Map<String, Object> params) throws ConfigurationException {
        String text = setting(URL_SETTING);
        if (text == null) {
            text = (String) params.get(URL_DETAIL);
        }
        if (text == null) {
            throw new ConfigurationException("csbm-adapter: the global setting " + URL_SETTING + " is not set");
        }
        try {
            URI url = new URI(text.trim().replaceAll("/+$", ""));
            boolean http = "https".equals(url.getScheme()) || "http".equals(url.getScheme());
            if (http && url.getHost() != null && url.getUserInfo() == null && url.getQuery() == null && url.getFragment() == null) {
                return url;
            }
        } catch (URISyntaxException wrong) {
            // Told below, without the text: somebody may have put a password into it.
        }
        throw new ConfigurationException("csbm-adapter: the global setting " + URL_SETTING
                + " is not https://host:port, without user name, query and fragment");
    }

    private String setting(String name) {
        return settings == null ? null : settings.getValue(name);
    }

    /**
     * Puts the inventory's facts into the parameters, from which the management server takes them and keeps them as host details. What the
     * operator gave does not count: the management server hands a host the values of the one added before it where the operator gave none.
     */
    private void takeFacts(Map<String, Object> params) throws ConfigurationException {
        try {
            StartupRoutingCommand facts = WireJson.command(service.get("startup"), StartupRoutingCommand.class);
            params.put("cpunumber", Integer.toString(facts.getCpus()));
            params.put("cpuspeed", Long.toString(facts.getSpeed()));
            params.put("memory", Long.toString(facts.getMemory() / (1024 * 1024)));
            params.put("hostmac", facts.getPrivateMacAddress());
        } catch (ServiceFailure failure) {
            throw new ConfigurationException("csbm-adapter: host " + host + " is not added: " + failure.getMessage());
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
            throw new ConfigurationException("csbm-adapter: host " + host + " is not added: the management server stopped meanwhile");
        }
    }

    @Override
    public Answer executeRequest(Command command) {
        if (command instanceof ReadyCommand || command instanceof CheckNetworkCommand) {
            // These set up the link inside the management server; the machine has no part in it.
            return super.executeRequest(command);
        }
        try {
            if (command.getWait() <= 0) {
                command.setWait(globalWait());
            }
            boolean repeatable = REPEATABLE.contains(command.getClass().getSimpleName());
            return WireJson.answer(service.execute(WireJson.command(command), repeatable, Duration.ofSeconds(command.getWait())));
        } catch (ServiceFailure failure) {
            return failed(command, failure.getMessage());
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
            return failed(command, "the management server stopped while the command ran; it goes on at the bare-metal service");
        }
    }

    private Answer failed(Command command, String why) {
        log.warn(command.getClass().getSimpleName() + " for host " + host + " has no answer: " + why);
        return WireJson.failure(command, why);
    }

    private int globalWait() {
        try {
            int wait = Integer.parseInt(String.valueOf(setting("wait")));
            return wait > 0 ? wait : USUAL_WAIT;
        } catch (NumberFormatException unset) {
            return USUAL_WAIT;
        }
    }

    /** Null tells the management server that the host did not answer. */
    @Override
    public PingCommand getCurrentStatus(long id) {
        try {
            PingRoutingCommand status = WireJson.command(service.get("status"), PingRoutingCommand.class);
            silent("");
            return new PingRoutingCommand(getType(), id, status.getHostVmStateReport());
        } catch (ServiceFailure failure) {
            silent(failure.getMessage());
            return null;
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
            return null;
        }
    }

    private void silent(String why) {
        if (!why.equals(silence)) {
            silence = why;
            log.warn("host " + host + (why.isEmpty() ? " answers again" : " has no status: " + why));
        }
    }
}
