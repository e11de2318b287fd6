package com.cloud.agent.api;

/** Signatures of core, com/cloud/agent/api/ReadyAnswer.java. */
public class ReadyAnswer extends Answer {
}
