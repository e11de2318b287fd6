package com.cloud.agent.api;

import java.util.HashMap;
import java.util.Map;

import com.cloud.host.Host;
import com.cloud.hypervisor.Hypervisor.HypervisorType;

/** Signatures of core, com/cloud/agent/api/StartupRoutingCommand.java. */
public class StartupRoutingCommand extends StartupCommand {
    int cpus;
    long speed;
    long memory;
    HypervisorType hypervisorType;
    Map<String, String> hostDetails = new HashMap<>();

    public StartupRoutingCommand() {
        super(Host.Type.Routing);
    }

    public int getCpus() {
        return cpus;
    }

    public void setCpus(int cpus) {
        this.cpus = cpus;
    }

    public long getSpeed() {
        return speed;
    }

    public void setSpeed(long speed) {
        this.speed = speed;
    }

    public long getMemory() {
        return memory;
    }

    public void setMemory(long memory) {
        this.memory = memory;
    }

    public HypervisorType getHypervisorType() {
        return hypervisorType;
    }

    public void setHypervisorType(HypervisorType hypervisorType) {
        this.hypervisorType = hypervisorType;
    }

    public Map<String, String> getHostDetails() {
        return hostDetails;
    }
}
