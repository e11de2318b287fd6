package com.cloud.agent.api;

import com.cloud.agent.api.to.VirtualMachineTO;

/** Signatures of core, com/cloud/agent/api/StartAnswer.java. */
public class StartAnswer extends Answer {
    VirtualMachineTO vm;
    String hostGuid;

    protected StartAnswer() {
    }

    public VirtualMachineTO getVirtualMachine() {
        return vm;
    }
}
