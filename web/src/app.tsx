import { Component, lazy, type ReactNode, Suspense } from "react";
import { Redirect, Route, Switch, useLocation } from "wouter";
import { useSession } from "./api/session";
import { Shell } from "./shell";
import { Failure, Loading } from "./ui/states";
import Overview from "./views/overview";
import { SignIn } from "./views/signin";

const Agents = lazy(() => import("./views/agents"));
const Executions = lazy(() => import("./views/executions"));
const Execution = lazy(() => import("./views/execution"));
const Fleet = lazy(() => import("./views/fleet"));
const FleetAgent = lazy(() => import("./views/fleetagent"));
const Deployments = lazy(() => import("./views/deployments"));
const Deployment = lazy(() => import("./views/deployment"));
const Costs = lazy(() => import("./views/costs"));
const Api = lazy(() => import("./views/api"));
const Users = lazy(() => import("./views/users"));
const User = lazy(() => import("./views/user"));
const Reports = lazy(() => import("./views/reports"));
const Report = lazy(() => import("./views/report"));
const Events = lazy(() => import("./views/events"));
const Settings = lazy(() => import("./views/settings"));

/** Shows a view's defect in its place, so that the rest of the page goes on. */
class Boundary extends Component<{ place: string; children: ReactNode }, { error: Error | null }> {
  state = { error: null };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  componentDidUpdate(before: { place: string }) {
    if (before.place !== this.props.place && this.state.error) this.setState({ error: null });
  }

  render() {
    const { error } = this.state;
    return error ? (
      <Failure error={error} retry={() => this.setState({ error: null })} />
    ) : (
      this.props.children
    );
  }
}

export function App() {
  const session = useSession();
  const [place] = useLocation();
  if (session.isPending) return <Loading label="Looking for a session" />;
  if (session.isError && !session.data) {
    return (
      <main className="alone">
        <Failure error={session.error} retry={() => session.refetch()} />
      </main>
    );
  }
  if (!session.data) return <SignIn />;
  return (
    <Shell session={session.data}>
      <Boundary place={place}>
        <Suspense fallback={<Loading label="Loading the view" />}>
          <Switch>
            <Route path="/overview" component={Overview} />
            <Route path="/agents" component={Agents} />
            <Route path="/executions" component={Executions} />
            <Route path="/executions/:id" component={Execution} />
            <Route path="/fleet" component={Fleet} />
            <Route path="/fleet/:id" component={FleetAgent} />
            <Route path="/deployments" component={Deployments} />
            <Route path="/deployments/:id" component={Deployment} />
            <Route path="/costs" component={Costs} />
            <Route path="/api" component={Api} />
            <Route path="/users" component={Users} />
            <Route path="/users/:id" component={User} />
            <Route path="/reports" component={Reports} />
            <Route path="/reports/:id" component={Report} />
            <Route path="/events" component={Events} />
            <Route path="/settings" component={Settings} />
            <Route path="/">
              <Redirect to="/overview" replace />
            </Route>
            <Route>
              <Failure error={new Error("There is no view at this address.")} />
            </Route>
          </Switch>
        </Suspense>
      </Boundary>
    </Shell>
  );
}
