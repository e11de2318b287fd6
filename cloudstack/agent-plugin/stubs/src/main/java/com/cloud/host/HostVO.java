package com.cloud.host;

import java.util.Map;

/** Signatures of engine/schema, com/cloud/host/HostVO.java. */
public class HostVO implements Host {
    private final String guid;
    private Map<String, String> details;

    public HostVO(String guid) {
        this.guid = guid;
    }

    public String getGuid() {
        return guid;
    }

    public Map<String, String> getDetails() {
        return details;
    }

    public void setDetails(Map<String, String> details) {
        this.details = details;
    }
}
