package com.cloud.agent.api;

import com.cloud.agent.api.to.VirtualMachineTO;

/** Signatures of core, com/cloud/agent/api/StartCommand.java. */
public class StartCommand extends Command {
    VirtualMachineTO vm;
    String hostIp;
    boolean executeInSequence;

    protected StartCommand() {
    }

    public VirtualMachineTO getVirtualMachine() {
        return vm;
    }

    @Override
    public boolean executeInSequence() {
        return executeInSequence;
    }
}
