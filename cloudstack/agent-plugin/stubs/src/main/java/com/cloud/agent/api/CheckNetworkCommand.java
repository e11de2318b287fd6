package com.cloud.agent.api;

/** Signatures of core, com/cloud/agent/api/CheckNetworkCommand.java. */
public class CheckNetworkCommand extends Command {
    @Override
    public boolean executeInSequence() {
        return true;
    }
}
