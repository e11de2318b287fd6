package com.cloud.agent.api;

/** Signatures of core, com/cloud/agent/api/ReadyCommand.java. */
public class ReadyCommand extends Command {
    @Override
    public boolean executeInSequence() {
        return true;
    }
}
