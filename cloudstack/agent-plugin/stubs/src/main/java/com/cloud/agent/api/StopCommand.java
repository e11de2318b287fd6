package com.cloud.agent.api;

/** Signatures of core, com/cloud/agent/api/StopCommand.java. */
public class StopCommand extends RebootCommand {
    boolean expungeVM;

    protected StopCommand() {
    }

    public StopCommand(String vmName, boolean expungeVM) {
        super(vmName);
        this.expungeVM = expungeVM;
    }
}
