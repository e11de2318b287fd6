package com.cloud.agent.api;

import com.cloud.host.Host;

/** Signatures of core, com/cloud/agent/api/StartupCommand.java. */
public class StartupCommand extends Command {
    Host.Type type;
    String guid;
    String privateIpAddress;
    String privateMacAddress;

    public StartupCommand(Host.Type type) {
        this.type = type;
    }

    public String getGuid() {
        return guid;
    }

    public void setGuid(String guid) {
        this.guid = guid;
    }

    public String getPrivateMacAddress() {
        return privateMacAddress;
    }

    public void setPrivateMacAddress(String privateMacAddress) {
        this.privateMacAddress = privateMacAddress;
    }

    @Override
    public boolean executeInSequence() {
        return false;
    }
}
