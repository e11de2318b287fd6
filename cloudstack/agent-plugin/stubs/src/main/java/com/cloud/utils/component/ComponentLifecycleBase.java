package com.cloud.utils.component;

import java.util.Map;

import javax.naming.ConfigurationException;

/** Signatures of utils, com/cloud/utils/component/ComponentLifecycleBase.java. From 4.20 on it also has a field {@code logger} of Log4j 2. */
public class ComponentLifecycleBase implements ComponentLifecycle {
    protected String _name;

    public ComponentLifecycleBase() {
        _name = getClass().getSimpleName();
    }

    @Override
    public String getName() {
        return _name;
    }

    @Override
    public void setName(String name) {
        _name = name;
    }

    @Override
    public boolean configure(String name, Map<String, Object> params) throws ConfigurationException {
        _name = name;
        return true;
    }

    @Override
    public boolean start() {
        return true;
    }

    @Override
    public boolean stop() {
        return true;
    }
}
