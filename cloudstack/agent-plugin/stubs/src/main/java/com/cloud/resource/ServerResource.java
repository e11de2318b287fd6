package com.cloud.resource;

import com.cloud.agent.IAgentControl;
import com.cloud.agent.api.Answer;
import com.cloud.agent.api.Command;
import com.cloud.agent.api.PingCommand;
import com.cloud.agent.api.StartupCommand;
import com.cloud.host.Host;
import com.cloud.utils.component.Manager;

/** Signatures of core, com/cloud/resource/ServerResource.java. */
public interface ServerResource extends Manager {
    Host.Type getType();

    StartupCommand[] initialize();

    PingCommand getCurrentStatus(long id);

    Answer executeRequest(Command cmd);

    void disconnected();

    IAgentControl getAgentControl();

    void setAgentControl(IAgentControl agentControl);
}
