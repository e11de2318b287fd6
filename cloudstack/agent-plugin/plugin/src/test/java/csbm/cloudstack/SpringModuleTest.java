package csbm.cloudstack;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.InputStream;
import java.util.Map;
import java.util.Properties;

import org.junit.jupiter.api.Test;
import org.springframework.context.support.ClassPathXmlApplicationContext;
import org.springframework.context.support.GenericApplicationContext;
import org.springframework.core.io.Resource;
import org.springframework.core.io.support.PathMatchingResourcePatternResolver;

import com.cloud.host.HostVO;
import com.cloud.host.dao.HostDao;
import com.cloud.resource.ResourceManager;
import com.cloud.utils.component.ComponentLifecycle;

/** Finds and starts the module as the management server's module framework does, with the Spring line that CloudStack uses. */
class SpringModuleTest {
    private static final String MODULES = "META-INF/cloudstack";

    @Test
    void isAModuleOfTheDiscoverer() throws Exception {
        Resource[] found = new PathMatchingResourcePatternResolver().getResources("classpath*:" + MODULES + "/*/module.properties");
        assertEquals(1, found.length);
        Properties module = new Properties();
        try (InputStream text = found[0].getInputStream()) {
            module.load(text);
        }
        assertEquals("discoverer", module.getProperty("parent"));
        String folder = "/" + MODULES + "/" + module.getProperty("name") + "/";
        assertTrue(found[0].getURL().getPath().contains(folder), "the name must be the folder's, or the server does not start");
    }

    @Test
    void registersWhileItRuns() throws Exception {
        FakeResourceManager manager = new FakeResourceManager();
        try (GenericApplicationContext server = new GenericApplicationContext()) {
            server.registerBean("resourceManagerImpl", ResourceManager.class, () -> manager);
            server.registerBean("hostDaoImpl", HostDao.class, () -> (HostVO host) -> { });
            server.refresh();
            String contexts = "classpath*:" + MODULES + "/csbm/*context.xml";
            try (ClassPathXmlApplicationContext module = new ClassPathXmlApplicationContext(new String[] {contexts}, server)) {
                Map<String, ComponentLifecycle> components = module.getBeansOfType(ComponentLifecycle.class);
                assertEquals(1, components.size());
                components.forEach(SpringModuleTest::start);
                assertInstanceOf(ConnectedAgentAdapter.class, manager.adapters.get(ConnectedAgentAdapter.REGISTERED_AS));
                components.values().forEach(ComponentLifecycle::stop);
                assertEquals(Map.of(), manager.adapters);
            }
        }
    }

    private static void start(String name, ComponentLifecycle component) {
        try {
            assertTrue(component.configure(name, Map.of()));
            assertTrue(component.start());
        } catch (javax.naming.ConfigurationException wrong) {
            throw new AssertionError(wrong);
        }
    }
}
