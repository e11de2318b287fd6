package com.cloud.agent;

/** Signatures of core, com/cloud/agent/IAgentControl.java. */
public interface IAgentControl {
}
