package com.cloud.utils.component;

/** Signatures of utils, com/cloud/utils/component/Manager.java. */
public interface Manager extends ComponentLifecycle {
}
