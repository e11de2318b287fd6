package com.cloud.agent.api;

/** Signatures of core, com/cloud/agent/api/RebootCommand.java. */
public class RebootCommand extends Command {
    String vmName;

    @Override
    public boolean executeInSequence() {
        return true;
    }

    protected RebootCommand() {
    }

    public RebootCommand(String vmName) {
        this.vmName = vmName;
    }
}
