package com.cloud.baremetal.networkservice;

import java.util.Map;

import javax.naming.ConfigurationException;

import com.cloud.agent.IAgentControl;
import com.cloud.agent.api.Answer;
import com.cloud.agent.api.Command;
import com.cloud.agent.api.PingCommand;
import com.cloud.agent.api.StartupCommand;
import com.cloud.agent.api.StartupRoutingCommand;
import com.cloud.host.Host;
import com.cloud.hypervisor.Hypervisor.HypervisorType;
import com.cloud.resource.ServerResource;
import com.cloud.utils.component.ManagerBase;

/**
 * Signatures of plugins/hypervisors/baremetal, com/cloud/baremetal/networkservice/BareMetalResourceBase.java. As the real one it takes
 * CPUs, clock rate (MHz), memory (MiB) and MAC from the parameters when it is configured; it has no IPMI, and answers everything itself.
 */
public class BareMetalResourceBase extends ManagerBase implements ServerResource {
    private final StartupRoutingCommand startup = new StartupRoutingCommand();
    private IAgentControl agentControl;

    @Override
    public boolean configure(String name, Map<String, Object> params) throws ConfigurationException {
        setName(name);
        startup.setHypervisorType(HypervisorType.BareMetal);
        startup.setGuid((String) params.get("guid"));
        startup.setPrivateMacAddress((String) params.get("hostmac"));
        try {
            startup.setCpus(Integer.parseInt((String) params.get("cpunumber")));
            startup.setSpeed(Long.parseLong((String) params.get("cpuspeed")));
            startup.setMemory(Long.parseLong((String) params.get("memory")) * 1024 * 1024);
        } catch (NumberFormatException notANumber) {
            throw new ConfigurationException("Unable to parse number of CPU or memory capacity");
        }
        return true;
    }

    @Override
    public Host.Type getType() {
        return Host.Type.Routing;
    }

    @Override
    public StartupCommand[] initialize() {
        return new StartupCommand[] {startup};
    }

    @Override
    public PingCommand getCurrentStatus(long id) {
        return new PingCommand(getType(), id);
    }

    @Override
    public Answer executeRequest(Command cmd) {
        return new Answer(cmd, true, "answered by the stock resource");
    }

    @Override
    public void disconnected() {
    }

    @Override
    public IAgentControl getAgentControl() {
        return agentControl;
    }

    @Override
    public void setAgentControl(IAgentControl agentControl) {
        this.agentControl = agentControl;
    }
}
