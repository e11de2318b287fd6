package com.cloud.utils.component;

/** Signatures of utils, com/cloud/utils/component/ManagerBase.java. */
public class ManagerBase extends ComponentLifecycleBase {
}
