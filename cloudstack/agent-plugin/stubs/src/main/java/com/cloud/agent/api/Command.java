package com.cloud.agent.api;

import java.util.HashMap;
import java.util.Map;

/** Signatures of core, com/cloud/agent/api/Command.java. */
public abstract class Command {
    protected Map<String, String> contextMap = new HashMap<>();
    private int wait;
    private boolean bypassHostMaintenance = false;

    protected Command() {
    }

    public int getWait() {
        return wait;
    }

    public void setWait(int wait) {
        this.wait = wait;
    }

    public boolean isBypassHostMaintenance() {
        return bypassHostMaintenance;
    }

    public String getContextParam(String name) {
        return contextMap.get(name);
    }

    public abstract boolean executeInSequence();
}
