package com.cloud.resource;

import java.util.List;
import java.util.Map;

import com.cloud.agent.api.StartupCommand;
import com.cloud.host.HostVO;
import com.cloud.utils.component.Adapter;

/** Signatures of engine/components-api, com/cloud/resource/ResourceStateAdapter.java. */
public interface ResourceStateAdapter extends Adapter {
    /** Signatures of the nested class. */
    class DeleteHostAnswer {
        public DeleteHostAnswer(boolean isContinue) {
        }
    }

    HostVO createHostVOForConnectedAgent(HostVO host, StartupCommand[] cmd);

    HostVO createHostVOForDirectConnectAgent(HostVO host, StartupCommand[] startup, ServerResource resource,
            Map<String, String> details, List<String> hostTags);

    DeleteHostAnswer deleteHost(HostVO host, boolean isForced, boolean isForceDeleteStorage)
            throws UnableDeleteHostException;
}
