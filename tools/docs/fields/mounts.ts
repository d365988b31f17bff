import type { cri } from '../../../src/proto';
import type { FieldsOf } from './coverage';

export const MOUNT: FieldsOf<cri.IMount> = {
  container_path: {
    becomes: '`Target`',
    except: 'a relative path, the root, a path that another mount has (`/data` and `/data/` are the same)',
  },
  host_path: {
    becomes: '`Source` of a bind, which follows symlinks; a missing directory is created (0755)',
    except:
      'a relative path; a missing path that cannot be created, because it is below a file, is a symlink to nothing, or is on a read-only file system; any path in addition to `image`',
  },
  readonly: {
    becomes:
      '`ReadOnly`, and `ReadOnlyNonRecursive` because Engines from 25.0 on would otherwise also make submounts read-only',
    except: 'false for an image mount',
  },
  selinux_relabel: {
    becomes:
      'on nodes with SELinux, a bind in `HostConfig.Binds` with `Z`: the Engine relabels the files for the pod, makes a read-only mount recursively read-only (Engine 25.0 and later), and creates a missing source as a directory; on other nodes nothing',
    except: 'paths with a colon',
  },
  propagation: {
    becomes:
      '`BindOptions.Propagation`; with PRIVATE the Engine chooses: rprivate, or rslave if the source contains the Engine’s own data',
    except: 'an unknown number; for an image mount, any value but PRIVATE',
  },
  uidMappings: { refused: 'Docker Engine has no ID-mapped mounts' },
  gidMappings: { refused: 'Docker Engine has no ID-mapped mounts' },
  recursive_read_only: {
    becomes:
      '`BindOptions.ReadOnlyForceRecursive`; Status reports for each runtime handler whether it supports this',
    needs: 'Engine 25.0 (API 1.44), Linux 5.12, a runtime whose features contain `rro`',
    except: 'true without `readonly`, or with propagation',
  },
  image: {
    becomes: 'a mount of type `image`: see ImageSpec; ContainerStatus adds `image_ref`, the image’s id',
    needs: 'Engine 28.0 (API 1.48)',
    except: 'an image that is not on the node',
  },
  image_sub_path: {
    becomes: '`ImageOptions.Subpath`; CreateContainer needs a second call to check it',
    needs: 'Engine 28.0 (API 1.48)',
    except:
      'an absolute path, a path with `..`, or a path that is not in the image. Without `image` this field has no effect',
  },
  mount_options: { refused: 'Docker Engine supports none, as Status reports' },
};

export const CDI_DEVICE: FieldsOf<cri.ICDIDevice> = {
  name: {
    becomes: '`DeviceIDs` of the request; StartContainer fails if no CDI specification contains the name',
    except: 'not `vendor/class=name`',
  },
};
