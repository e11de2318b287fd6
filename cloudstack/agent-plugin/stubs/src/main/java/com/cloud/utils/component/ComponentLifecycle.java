package com.cloud.utils.component;

import java.util.Map;

import javax.naming.ConfigurationException;

/** Signatures of utils, com/cloud/utils/component/ComponentLifecycle.java. */
public interface ComponentLifecycle {
    String getName();

    void setName(String name);

    boolean configure(String name, Map<String, Object> params) throws ConfigurationException;

    boolean start();

    boolean stop();
}
