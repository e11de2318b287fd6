package com.cloud.agent.api;

/** Signatures of core, com/cloud/agent/api/RebootAnswer.java. */
public class RebootAnswer extends Answer {
    Integer vncPort;
}
