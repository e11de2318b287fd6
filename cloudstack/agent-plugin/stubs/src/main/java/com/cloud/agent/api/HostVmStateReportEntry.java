package com.cloud.agent.api;

import com.cloud.vm.VirtualMachine.PowerState;

/** Signatures of core, com/cloud/agent/api/HostVmStateReportEntry.java. */
public class HostVmStateReportEntry {
    PowerState state;
    String host;

    public PowerState getState() {
        return state;
    }

    public String getHost() {
        return host;
    }
}
