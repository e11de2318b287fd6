package com.cloud.agent.api;

import com.cloud.host.Host;

/** Signatures of core, com/cloud/agent/api/PingCommand.java. */
public class PingCommand extends Command {
    Host.Type hostType;
    long hostId;

    protected PingCommand() {
    }

    public PingCommand(Host.Type type, long id) {
        hostType = type;
        hostId = id;
    }

    public Host.Type getHostType() {
        return hostType;
    }

    public long getHostId() {
        return hostId;
    }

    @Override
    public boolean executeInSequence() {
        return false;
    }
}
