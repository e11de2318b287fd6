package org.apache.cloudstack.framework.config.dao;

/** Signatures of framework/config, org/apache/cloudstack/framework/config/dao/ConfigurationDao.java. */
public interface ConfigurationDao {
    String getValue(String name);
}
