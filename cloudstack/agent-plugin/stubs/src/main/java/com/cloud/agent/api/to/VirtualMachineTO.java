package com.cloud.agent.api.to;

import java.util.Map;

/** Signatures of api, com/cloud/agent/api/to/VirtualMachineTO.java. */
public class VirtualMachineTO {
    private long id;
    private String name;
    private String bootArgs;
    private Map<String, String> details;

    public long getId() {
        return id;
    }

    public String getName() {
        return name;
    }

    public String getBootArgs() {
        return bootArgs;
    }

    public Map<String, String> getDetails() {
        return details;
    }
}
