package com.cloud.agent.api.baremetal;

import com.cloud.agent.api.Command;

/** Signatures of core, com/cloud/agent/api/baremetal/IpmISetBootDevCommand.java. */
public class IpmISetBootDevCommand extends Command {
    String bootDev;

    @Override
    public boolean executeInSequence() {
        return true;
    }
}
