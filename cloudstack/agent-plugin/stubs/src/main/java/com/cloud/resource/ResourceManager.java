package com.cloud.resource;

import java.util.List;
import java.util.Map;

import com.cloud.agent.api.StartupRoutingCommand;
import com.cloud.host.HostVO;
import com.cloud.hypervisor.Hypervisor.HypervisorType;

/** Signatures of engine/components-api, com/cloud/resource/ResourceManager.java. */
public interface ResourceManager {
    void registerResourceStateAdapter(String name, ResourceStateAdapter adapter);

    void unregisterResourceStateAdapter(String name);

    HostVO fillRoutingHostVO(HostVO host, StartupRoutingCommand ssCmd, HypervisorType hyType,
            Map<String, String> details, List<String> hostTags);
}
